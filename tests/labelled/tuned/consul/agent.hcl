datacenter = "fra1"
encrypt    = "⟦pUqJrVyVRj5jsiYEkM/tFQYfWyJIv4s3XkvDwy7Cu5s=⟧"
acl {
  enabled        = true
  default_policy = "deny"
  tokens {
    agent   = "⟦b2c3d4e5-1111-2222-3333-444455556666⟧"
    default = "⟦c3d4e5f6-1111-2222-3333-444455556666⟧"
  }
}
tls {
  defaults {
    ca_file   = "/etc/consul/ca.pem"
    key_file  = "/etc/consul/agent.key"
    verify_incoming = true
  }
}
token_ttl = "24h"
