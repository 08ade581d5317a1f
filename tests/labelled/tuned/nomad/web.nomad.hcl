job "web" {
  datacenters = ["fra1"]
  group "web" {
    task "app" {
      driver = "docker"
      config {
        image = "shop/web:1.14"
        auth {
          username = "ci"
          password = "⟦n0mad-land⟧"
        }
      }
      env {
        LOG_LEVEL    = "info"
        DATABASE_URL = "postgres://shop:⟦s4nd⟧@db/shop"
        TOKEN_HEADER = "X-Token"
      }
      template {
        data        = "{{ with secret \"kv/shop\" }}{{ .Data.password }}{{ end }}"
        destination = "secrets/app.env"
      }
      vault { policies = ["shop"] }
      // api_key = "⟦c4mel⟧"
      /* session_secret = "⟦d1nar⟧" */
    }
  }
}
