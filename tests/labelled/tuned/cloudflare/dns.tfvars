zone_id            = "0123456789abcdef0123456789abcdef"
cloudflare_api_token = "⟦v1.0-inv3nted⟧"
account_id         = "fedcba9876543210fedcba9876543210"
records            = { www = "192.0.2.10", mail = "192.0.2.25" }
tunnel_secret      = "⟦dHVubmVsLWludmVudGVk⟧"
dkim_public_key    = "v=DKIM1; k=rsa; p=MIGfMA0Ginvented"
