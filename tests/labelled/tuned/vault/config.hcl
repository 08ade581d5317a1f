ui           = true
api_addr     = "https://vault.example.org:8200"
cluster_name = "fra"

storage "consul" {
  address = "127.0.0.1:8500"
  path    = "vault/"
  token   = "⟦3c5a6f9e-1d2b-4e8f-a7c6-b5d4e3f2a1b0⟧"
}

seal "transit" {
  address    = "https://vault2.example.org:8200"
  token      = "⟦s.inventedRoot⟧"
  key_name   = "autounseal"
  mount_path = "transit/"
}

listener "tcp" {
  address       = "0.0.0.0:8200"
  tls_cert_file = "/etc/vault/tls/vault.crt"
  tls_key_file  = "/etc/vault/tls/vault.key"
  # token_ttl = "1h"
}

default_lease_ttl = "168h"
