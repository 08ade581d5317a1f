//! systemd units, and the files of OpenSSH and PostgreSQL: judged by the programs themselves, which
//! say what they would run with.

use confseal::format::CodecId;

use super::judge::{agrees_on, reads};

const UNIT: &str = "\
# a shop
[Unit]
Description = A shop; with \"quotes\" # and no comments
[Service]
Type=exec
; Environment=OLD_TOKEN=x
Environment=MODE=x A_TOKEN=plain \"B_TOKEN=two words\" 'PASSWORD=p#;' \\
# a note
    \"C_TOKEN=d e\"
Environment=D_TOKEN=f#g:h
LogExtraFields=SHOP_TOKEN=x
WorkingDirectory=/tmp
ExecStart=/bin/echo --user=x \"a b\" \\
; not an argument
  second
RestartSec=5
";

const WORDS: &str = "\
[Service]
Type=oneshot
ExecStart=/bin/true
Environment=A=\"b c\" 'D=e\\x21\\\"' \\
; a note
  F=g\\\\h \\
  \"I=j \\
k\"
Environment=L=it\\'s M='n'\"o\" P=
";

#[test]
fn systemd_reads_words_as_confseal_does() {
    assert_eq!(reads("systemd", "Environment", CodecId::Systemd, "Service.Environment", WORDS), 7);
}

#[test]
fn systemd_loads_the_same_service() {
    for text in [UNIT, UNIT.trim_end()] {
        assert_eq!(agrees_on("systemd", CodecId::Systemd, text, &["Unit.Description"]), 7);
    }
}

const SSHD: &str = "\
# a note
Port 2222
VersionAddendum it is \"me\"  # and this
SetEnv MODE=x A_TOKEN=plain \"B_TOKEN=x y\" 'C_TOKEN=d # e' # f
ChrootDirectory = \"/a \\\"b\\\" \\\\ c\"
TrustedUserCAKeys=/etc/c # d
AuthorizedKeysCommand /bin/a \"b c\" # d
AuthorizedKeysCommandUser nobody
#PermitRootLogin yes
Match User alice
  ForceCommand sh -c 'it # is' # x
";

#[test]
fn sshd_starts_with_the_same_settings() {
    let secret = ["VersionAddendum", "ChrootDirectory", "ForceCommand"];
    for text in [SSHD.to_owned(), SSHD.replace('\n', "\r\n")] {
        assert_eq!(agrees_on("sshd", CodecId::Sshd, &text, &secret), 6);
    }
}

const SSH: &str = "\
# a note
Host shop
  User = \"bo b\"
  SetEnv A_TOKEN=plain \"B_TOKEN=x y\" # f
  ProxyCommand sh -c 'it # is' --token=x # y
  CertificateFile \"/a \\\"b\\\" \\\\ c\" # x
Host other
  User x
";

#[test]
fn openssh_reads_words_as_confseal_does() {
    let words = "SetEnv A=\"b # c\" 'D=it\\'s' E=f\\\"g H=i\\ j \"K=\\l\\\\\"'m' # n\n";
    for judge in ["sshd", "ssh"] {
        assert_eq!(reads(judge, "setenv", CodecId::Sshd, "SetEnv[]", words), 5);
    }
}

#[test]
fn ssh_connects_with_the_same_settings() {
    let secret = ["User", "ProxyCommand", "CertificateFile"];
    assert_eq!(agrees_on("ssh", CodecId::Sshd, SSH, &secret), 5);
}

const POSTGRESQL: &str = "\
# a note
port = 5432 # (change requires restart)
primary_conninfo 'host=db password=''x'' \\\\y \\101 # no note'
restore_command='cp a#b'#archive_command = 'x'
shop.token = plain
shop.note = 'tab\\tand \\'quote\\''
log_line_prefix = ''
#ssl_passphrase_command = 'echo x'
log_timezone = Etc/UTC
work_mem=64MB
";

#[test]
fn postgres_starts_with_the_same_settings() {
    let secret = [
        "primary_conninfo",
        "*_command",
        "shop.*",
        "\"shop.token\"",
        "\"shop.note\"",
        "log_line_prefix",
    ];
    for text in [POSTGRESQL.to_owned(), POSTGRESQL.replace('\n', "\r\n")] {
        assert_eq!(agrees_on("postgresql", CodecId::Postgresql, &text, &secret), 5);
    }
}
