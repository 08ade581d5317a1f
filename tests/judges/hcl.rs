//! HCL, judged by python-hcl2.

use confseal::format::CodecId;

use super::judge::agrees;

const SAMPLE: &str = r####"# a = "commented out"
region = "eu-\u00e4\"x\" \\ \t$${literal}"
count_of = 12
ratio = -1.5
enabled = true
nothing = null
reference = var.x /* b = 2 */
template = "postgres://app:${var.password}@${local.hosts.db}/shop"
list = ["a,b", 1, # note = "x"
  ["nested"],
  { name = "N", value = "v" },
]
object = {
  key        = "value"
  "quoted k" = false
  inner      = { deep = "x" }
}

resource "aws_db_instance" "main" {
  password = "tr0ub4dor&3"
  tags = { "a.b" = "c" }
  lifecycle {
    ignore = ["tags"]
  }
  script = <<EOT
#!/bin/sh
echo "hello"
EOT
  indented = <<-EOT
    first
      second
    EOT
}
// token = "x"
"####;

#[test]
fn python_hcl2_sees_the_same_document() {
    let in_the_clear = ["N", "${var.x}"];
    for text in [SAMPLE.to_owned(), SAMPLE.trim_end().to_owned()] {
        assert!(agrees("python-hcl2", CodecId::Hcl, &text, &in_the_clear) > 15);
    }
}
