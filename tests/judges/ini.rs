//! The dialects of INI, judged by Python's configparser, git, PHP, MariaDB and go-ini. systemd's is
//! among the services.

use confseal::format::CodecId;

use super::judge::agrees;

/// As it is, with CR LF, and without a line end at its end.
fn spellings(text: &str) -> [String; 3] {
    [text.to_owned(), text.replace('\n', "\r\n"), text.trim_end().to_owned()]
}

const CONFIGPARSER: &str = "\
# a shop
[DEFAULT]
debug = no
path = %(home)s/x

[database]
host: db.example  ; no comment
password = p@ss #word; 100%
a key of words = \"quoted\"
url=postgres://u:p@h/d?a=b:c
empty =
flag
list =
    one

    # a comment
    two = 2
  ; another
	three
  key : indented
[servers.alpha]
  a = 1
  b = 2
 c = ünï
";

#[test]
fn configparser_sees_the_same_document() {
    for text in spellings(CONFIGPARSER) {
        assert_eq!(agrees("configparser", CodecId::Configparser, &text, &[]), 11, "{text}");
    }
}

/// Without continuation lines the common dialect is read alike, quotes aside.
#[test]
fn configparser_reads_the_common_dialect() {
    let text =
        "[a]\nhost: x  ; y\npassword = p#q; r\nempty =\nurl=a://u:p@h/\n[b.c]\n  flag\n  k = 1\n";
    for text in spellings(text) {
        assert_eq!(agrees("configparser", CodecId::Ini, &text, &[]), 5, "{text}");
    }
}

const GIT: &str = r#"# me
[user]
	name = A \"B\" C ; not D
	email = "a;b"@"c#d"  # e
[core] bare = true
	flag
[http "https://x.example/a\\b\"c"]
	extraheader = Authorization: Bearer abc\
	def \
	  ghi
	empty =
	quoted = ""  ; x
	cut = a#b c
	cut-too =#x
[s.Sub.B]
	tabs = a\tb\nc\\d
	tabs = "  again  "
"#;

#[test]
fn git_sees_the_same_configuration() {
    for text in spellings(GIT) {
        assert_eq!(agrees("git", CodecId::Git, &text, &[]), 10, "{text}");
    }
}

const PHP: &str = "\
; engine
engine = 5
[www]
user = www-data
env[DB_PASSWORD] = \"p;w\\\"d\\\\ # \\$x\" ; note
env[B] = $HOSTNAME
list[] = a/b:c
list[] = 'it;s $raw \\'
multi = \"one
two ; three\"
cut = a;b
spaced = a b
empty =
empty2 = \"\"
[s.t]
k.a-b = 1,2 # 3
";

#[test]
fn php_sees_the_same_settings() {
    for text in spellings(PHP) {
        assert_eq!(agrees("php", CodecId::Php, &text, &[]), 12, "{text}");
    }
}

/// What some programs make of a file: no escapes, no constants.
#[test]
fn php_reads_a_token_in_raw_mode_too() {
    let text = "[a]\nk = x\nl = \"y ; z\" ; n\nm[] = a\nm[] = b\nn = a & b\n";
    for text in spellings(text) {
        assert_eq!(agrees("php raw", CodecId::Php, &text, &[]), 5, "{text}");
        assert_eq!(agrees("php raw", CodecId::Ini, "[a]\nk = x\nl = y z\n", &[]), 2);
    }
}

const MYSQL: &str = r#"# clients
[client]
port=3306 # note
password = "x # y" # z
user='a"b'
cut=ab#cd # x
skip-networking
loose_g-h  =  2 ; no comment
escapes=a\sb\tc\\d\e
quoted="a\"b\\"
half="abc # d
two="a" "b"
empty=
[mysqld]
datadir=/var/lib/mysql
ssl-cipher=""  # none
"#;

#[test]
fn my_print_defaults_sees_the_same_options() {
    for text in spellings(MYSQL) {
        assert_eq!(agrees("mysql", CodecId::Mysql, &text, &[]), 12, "{text}");
    }
}

const GRAFANA: &str = r##"; a dashboard
app_mode = production
[server]
; domain = old
root_url: http://h:3000/ ; note
[database]
password = """#pass;word"""
double = "a ; b" # note
single = 'c'
tick = `d ; "e` # note
url = mysql://u:p@h/d
multi = """one
two ; three"""
ticks = `one

 # two`
long = a b \
  c d
cut=a#b
empty =
colons = "x"y:z
[auth.generic_oauth]
client_secret=x=y:z
"##;

#[test]
fn go_ini_sees_the_same_settings() {
    for text in spellings(GRAFANA) {
        assert_eq!(agrees("go-ini", CodecId::Grafana, &text, &[]), 14, "{text}");
    }
}
