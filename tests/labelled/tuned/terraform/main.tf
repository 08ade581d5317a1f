terraform {
  required_version = ">= 1.6"
  backend "s3" {
    bucket         = "tf-state"
    key            = "shop/terraform.tfstate"
    dynamodb_table = "tf-locks"
    access_key     = "⟦TFSTATEACCESS⟧"
    secret_key     = "⟦tF5t4teS3cr3t⟧"
  }
}

variable "db_password" {
  type      = string
  sensitive = true
  default   = "⟦only-for-dev⟧"
}

variable "token_ttl" {
  default = 3600
}

resource "aws_db_instance" "shop" {
  engine                      = "postgres"
  username                    = "shop"
  password                    = var.db_password
  manage_master_user_password = false
  kms_key_id                  = "1234abcd-12ab-34cd-56ef-1234567890ab"
}

resource "random_password" "app" {
  length  = 32
  special = true
}
