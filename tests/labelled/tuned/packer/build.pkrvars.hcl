ami_name       = "shop-{{timestamp}}"
ssh_username   = "debian"
winrm_password = "⟦w1ndows⟧"
vault_token    = env("VAULT_TOKEN")
user_data      = <<EOT
#cloud-config
timezone: UTC
EOT
ssh_keypair_name = "build"
EOT_secret = <<-KEY
  ⟦s3cret heredoc⟧
  KEY
