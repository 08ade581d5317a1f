region         = "eu-central-1"
instance_count = 3
db_username    = "shop"
db_password    = "⟦terra-f1rma⟧"
# db_password  = "⟦terra-cotta⟧"
key_name       = "deploy-2026"
public_key     = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIinvented deploy@example.org"
api_tokens = {
  pagerduty = "⟦u+inventedPD⟧"
  datadog   = "⟦dd0inv3nted⟧"
}
admin_emails = ["ops@example.org"]
certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/1b2c3d4e-aaaa-bbbb-cccc-111122223333"
