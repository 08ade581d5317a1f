disable_mlock = true
controller {
  name = "c1"
  database { url = "postgresql://boundary:⟦f3nce⟧@db1:5432/boundary" }
}
listener "tcp" {
  address      = "0.0.0.0:9200"
  tls_key_file = "/etc/boundary/tls.key"
}
kms "aead" {
  purpose   = "root"
  aead_type = "aes-gcm"
  key       = "⟦sP1fnF5Xz85RrXyELHFeZg9Ad2qt4Z4bgNHVGtD6ung=⟧"
  key_id    = "global_root"
}
kms "transit" {
  purpose  = "recovery"
  address  = "https://vault.example.org"
  token    = "⟦s.inv3ntedt0k3n⟧"
  key_name = "recovery"
}
