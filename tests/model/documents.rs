//! Documents of every format with secrets that can be found again: each secret value holds a mark
//! that stands nowhere else.

use confseal::format::CodecId;

/// Begins each mark; nothing else in a document reads like it.
const MARK: &str = "Cnry";

/// The rules of the stores here: for the formats that no file name stands for.
pub(crate) const POLICY: &str = r#"version = 1

[[file]]
path = "*.keywords"
format = "directives"

[[file]]
path = "*.odd"
format = "regex"
pattern = '(?m)^\s*pass:(?P<value>[A-Za-z0-9_:-]+)$'
"#;

/// A file name of each format, and a document of it. `%` stands for a mark.
pub(crate) const FORMATS: [(&str, CodecId, &str); 20] = [
    (
        "app.toml",
        CodecId::Toml,
        "# the shop\ntitle = \"plain\"\n\n[database]\npassword = \"%\" # prod\nport = 5432\n\
         [[servers]]\nname = \"a\"\ntoken = '%'\n# api_token = \"%\"\n",
    ),
    (
        "app.json",
        CodecId::Json,
        "{\n  \"title\": \"plain\",\n  \"database\": {\"password\": \"%\", \"port\": 5432},\n  \
         \"tokens\": [\"%\", \"%\"]\n}\n",
    ),
    (
        "app.yaml",
        CodecId::Yaml,
        "# the shop\ntitle: plain\ndatabase:\n  password: \"%\" # prod\n  port: 5432\ntokens:\n\
         - %\n- '%'\nprivate_key: |\n  %\n  %\n",
    ),
    (
        "app.xml",
        CodecId::Xml,
        "<?xml version=\"1.0\"?>\n<shop>\n  <title>plain</title>\n  <db password=\"%\" port='5432'/>\n  \
         <token>%</token>\n  <add key=\"DbPassword\" value=\"%\"/>\n</shop>\n",
    ),
    (
        ".npmrc",
        CodecId::Ini,
        "; the shop\n[database]\npassword = %\nport = 5432\n;token = %\n[mail]\nsecret=\"%\"\n",
    ),
    (
        ".env",
        CodecId::Dotenv,
        "# shop\nTITLE=plain\nexport DB_PASSWORD=%\nAPI_TOKEN=\"%\"\n#OLD_TOKEN='%'\n",
    ),
    (
        "app.properties",
        CodecId::Properties,
        "! the shop\ntitle=plain\nspring.datasource.password=%\napi.token : %\\\n   %\n",
    ),
    (
        "main.tfvars",
        CodecId::Hcl,
        "title = \"plain\"\ndb_password = \"%\"\ntokens = [\"%\", \"%\"]\n",
    ),
    (
        ".gitconfig",
        CodecId::Git,
        "[user]\n\tname = plain\n[github]\n\ttoken = %\n[sendemail \"a\"]\n\tsmtpPass = \"%\" ; x\n",
    ),
    (
        "override.conf",
        CodecId::Systemd,
        "[Service]\nExecStart=/bin/true\nEnvironment=TITLE=plain DB_PASSWORD=% \"API_TOKEN=%\"\n",
    ),
    (
        "my.cnf",
        CodecId::Mysql,
        "[client]\nuser = shop\npassword = \"%\"\n[mysqldump]\npassword=%\n",
    ),
    (
        "php.ini",
        CodecId::Php,
        "; php\nengine = On\nmysqli.default_pw = \"%\"\n[shop]\nshop.password = '%'\n",
    ),
    (
        "grafana.ini",
        CodecId::Grafana,
        "[security]\nadmin_user = admin\nadmin_password = %\n;secret_key = %\n[smtp]\npassword = \"\"\"%\"\"\"\n",
    ),
    (
        "odoo.conf",
        CodecId::Configparser,
        "[options]\ndb_user = odoo\ndb_password = %\nadmin_passwd = %\n  %\n",
    ),
    (
        "redis.conf",
        CodecId::Redis,
        "port 6379\nrequirepass %\nmasterauth \"%\"\nuser app on >% ~* +@all\n",
    ),
    ("sshd_config", CodecId::Sshd, "Port 22\nPermitRootLogin no\nSetEnv TITLE=plain API_TOKEN=%\n"),
    (
        "postgresql.conf",
        CodecId::Postgresql,
        "port = 5432\nprimary_conninfo = 'host=db user=rep password=%'\nssl_passphrase = '%'\n",
    ),
    (
        "nginx.conf",
        CodecId::Nginx,
        "http {\n  server {\n    listen 80;\n    set $api_token %;\n    set $db_password \"%\";\n  }\n}\n",
    ),
    (
        "app.keywords",
        CodecId::Directives,
        "Title plain\nPassword %\n<Plugin db>\n  Token \"%\"\n</Plugin>\n",
    ),
    ("app.odd", CodecId::Pattern, "title:plain\npass:%\nnote:plain\npass:%\n"),
];

/// A document of the format that stands at `at` of [`FORMATS`], with marks drawn from `seed`.
pub(crate) fn document(at: usize, seed: u32) -> String {
    let mut text = String::new();
    for (n, part) in FORMATS[at % FORMATS.len()].2.split('%').enumerate() {
        if n > 0 {
            text += &mark(seed, n as u32);
        }
        text += part;
    }
    text
}

/// A word of twenty bytes.
fn mark(seed: u32, number: u32) -> String {
    // SplitMix64.
    let mut x = (u64::from(seed) << 32 | u64::from(number)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    format!("{MARK}{:016x}", x ^ (x >> 31))
}

/// Every whole mark in `bytes`, in order, with its offset.
pub(crate) fn marks(bytes: &[u8]) -> Vec<(usize, &[u8])> {
    let starts = memchr::memmem::find_iter(bytes, MARK.as_bytes());
    let found = starts.filter_map(|at| Some((at, bytes.get(at..at + MARK.len() + 16)?)));
    found.filter(|(_, mark)| mark[MARK.len()..].iter().all(u8::is_ascii_hexdigit)).collect()
}
