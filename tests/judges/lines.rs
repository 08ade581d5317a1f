//! dotenv, Java properties, and keywords with arguments: judged by python-dotenv, `sh`,
//! javaproperties, a Redis and an nginx.

use std::process::Command;

use confseal::format::CodecId;

use super::judge::{agrees, seal_secrets};

/// What python-dotenv and `sh` take alike.
const DOTENV: &str = "\
# a note
A=plain
export B='single $HOME `id` # \"x\"'
C=\"double \\\"x\\\" \\\\ y # z\" # PASSWORD=old
D=a#b # note
E=
F=''
G='two
lines'
H=\"two

lines\"
I=x=y:z/w@v,+%
# OLD='x
# y'
";

/// What only python-dotenv takes.
const LOOSE: &str =
    "K = spaced\n\tL= 'x' \nM=it's\nN='it\\'s'\nO\nP=a b c\nQ=\"tab\\tnl\\n\"\nR.s-t=1\n";

const PROPERTIES: &str = "\
! a note
#db.password=old
a=1
b : two words \t
c 3
d \\
  = x \\
    # y\\\\\\
    z
e\\ f\\:g\\=\\u00e9 == h
i=
j=C:\\\\tmp\\t\\u00e9\\ud83d\\ude00 \\q
k
 l.m  =  \\ n
sasl.jaas.config=x.ScramLoginModule required username=\"u\" \\
    password=\"p\";
last=\\
";

const REDIS: &str = "\
# requirepass foobared
masterauth plain
masteruser \"a \\\"b\\\" \\\\ c\"
tls-key-file-pass 'it\\'s \\n'
syslog-ident \"\\x41\\tb\"
tls-client-key-file-pass \"\"
";

#[test]
fn dotenv_loaders_see_the_same_variables() {
    for text in [DOTENV.to_owned(), format!("\u{feff}{DOTENV}").split_off(3)] {
        assert_eq!(agrees("dotenv", CodecId::Dotenv, &text, &[]), 9);
        assert_eq!(agrees("sh", CodecId::Dotenv, &text, &[]), 9);
    }
    assert_eq!(agrees("dotenv", CodecId::Dotenv, LOOSE, &[]), 7);
    assert_eq!(agrees("dotenv", CodecId::Dotenv, &LOOSE.replace('\n', "\r\n"), &[]), 7);
}

#[test]
fn java_sees_the_same_properties() {
    // `k` has no value, nor a place for one.
    for text in
        [PROPERTIES.to_owned(), PROPERTIES.replace('\n', "\r\n"), PROPERTIES.replace('\n', "\r")]
    {
        assert_eq!(agrees("javaproperties", CodecId::Properties, &text, &[""]), 10);
    }
}

#[test]
fn redis_starts_with_the_same_settings() {
    for text in [REDIS.to_owned(), REDIS.replace('\n', "\r\n")] {
        assert_eq!(agrees("redis", CodecId::Redis, &text, &[]), 5);
    }
}

#[test]
fn nginx_takes_a_sealed_configuration() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let text = format!(
        "pid {0}/pid;\nerror_log stderr;\nenv A_TOKEN=x;\nevents {{ }}\nhttp {{\n\
         map_hash_bucket_size 256;\n map $http_x_api_key $known {{ default 0; \"s3cret\" 1; }}\n\
         server {{ listen unix:{0}/s;\n\
         # proxy_set_header X-Api-Key old;\n\
         location / {{ proxy_set_header Authorization \"Bearer abcdefghijklmnop1234\";\n\
         set $api_key 'it\\'s'; fastcgi_param DB_PASSWORD x; \
         if ($http_x_token != \"t0ken\") {{ return 403; }} }} }} }}\n",
        dir.path().display()
    );
    let (stored, count) = seal_secrets(CodecId::Nginx, &text);
    assert_eq!(count, 7, "{}", String::from_utf8_lossy(&stored));
    for (name, text) in [("plain", text.as_bytes()), ("sealed", &stored)] {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("a configuration");
        let output = Command::new("nginx").arg("-t").arg("-q").arg("-c").arg(&path).output();
        let output = output.expect("nginx");
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
