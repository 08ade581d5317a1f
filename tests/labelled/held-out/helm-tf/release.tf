resource "helm_release" "db" {
  name  = "db"
  chart = "postgresql"
  set_sensitive {
    name  = "auth.postgresPassword"
    value = "⟦gr4nite⟧"
  }
  set {
    name  = "auth.existingSecret"
    value = "db-auth"
  }
  set {
    name  = "primary.persistence.size"
    value = "8Gi"
  }
}
resource "aws_db_instance" "x" {
  identifier                  = "x"
  username                    = "root"
  password                    = var.root_password
  manage_master_user_password = true
}
variable "root_password" {
  type      = string
  sensitive = true
  default   = "⟦sh0uld-not-be⟧"
}
provider "grafana" {
  url  = "https://grafana.example.org"
  auth = "admin:⟦gr4f⟧"
}
# token = "⟦c0mmented-token⟧"
