//! How a file is read by its name: by its whole name, else by its extension.

use super::{CodecId, Format};

/// Files known by their whole names, in lower case.
const NAMES: &[(&str, Format)] = &[
    (".npmrc", Format::Codec(CodecId::Ini)),
    (".editorconfig", Format::Codec(CodecId::Ini)),
    (".smbcredentials", Format::Codec(CodecId::Ini)),
    ("pg_service.conf", Format::Codec(CodecId::Ini)),
    (".pg_service.conf", Format::Codec(CodecId::Ini)),
    ("rclone.conf", Format::Codec(CodecId::Ini)),
    // Those of AWS.
    ("credentials", Format::ByContent(INI)),
    (".pypirc", Format::Codec(CodecId::Configparser)),
    ("pip.conf", Format::Codec(CodecId::Configparser)),
    ("pip.ini", Format::Codec(CodecId::Configparser)),
    ("setup.cfg", Format::Codec(CodecId::Configparser)),
    ("tox.ini", Format::Codec(CodecId::Configparser)),
    ("alembic.ini", Format::Codec(CodecId::Configparser)),
    ("airflow.cfg", Format::Codec(CodecId::Configparser)),
    ("ansible.cfg", Format::Codec(CodecId::Configparser)),
    ("supervisord.conf", Format::Codec(CodecId::Configparser)),
    ("odoo.conf", Format::Codec(CodecId::Configparser)),
    (".odoorc", Format::Codec(CodecId::Configparser)),
    ("mopidy.conf", Format::Codec(CodecId::Configparser)),
    ("jail.conf", Format::Codec(CodecId::Configparser)),
    ("jail.local", Format::Codec(CodecId::Configparser)),
    ("fail2ban.conf", Format::Codec(CodecId::Configparser)),
    ("fail2ban.local", Format::Codec(CodecId::Configparser)),
    (".boto", Format::Codec(CodecId::Configparser)),
    (".s3cfg", Format::Codec(CodecId::Configparser)),
    (".offlineimaprc", Format::Codec(CodecId::Configparser)),
    (".hgrc", Format::Codec(CodecId::Configparser)),
    ("hgrc", Format::Codec(CodecId::Configparser)),
    (".my.cnf", Format::Codec(CodecId::Mysql)),
    (".mylogin.cnf", Format::ByContent(&[CodecId::Mysql])),
    ("my.cnf", Format::Codec(CodecId::Mysql)),
    ("mysqld.cnf", Format::Codec(CodecId::Mysql)),
    (".gitconfig", Format::Codec(CodecId::Git)),
    ("gitconfig", Format::Codec(CodecId::Git)),
    (".gitmodules", Format::Codec(CodecId::Git)),
    ("php.ini", Format::Codec(CodecId::Php)),
    (".user.ini", Format::Codec(CodecId::Php)),
    ("php-fpm.conf", Format::Codec(CodecId::Php)),
    ("www.conf", Format::Codec(CodecId::Php)),
    ("grafana.ini", Format::Codec(CodecId::Grafana)),
    // Its drop-ins have any name; this is the one that `systemctl edit` gives them.
    ("override.conf", Format::Codec(CodecId::Systemd)),
    ("system.conf", Format::ByContent(&[CodecId::Systemd])),
    ("user.conf", Format::ByContent(&[CodecId::Systemd])),
    ("journald.conf", Format::Codec(CodecId::Systemd)),
    ("logind.conf", Format::Codec(CodecId::Systemd)),
    ("resolved.conf", Format::Codec(CodecId::Systemd)),
    ("timesyncd.conf", Format::Codec(CodecId::Systemd)),
    ("networkd.conf", Format::Codec(CodecId::Systemd)),
    ("redis.conf", Format::Codec(CodecId::Redis)),
    ("sentinel.conf", Format::Codec(CodecId::Redis)),
    ("ssh_config", Format::Codec(CodecId::Sshd)),
    ("sshd_config", Format::Codec(CodecId::Sshd)),
    ("postgresql.conf", Format::Codec(CodecId::Postgresql)),
    ("postgresql.auto.conf", Format::Codec(CodecId::Postgresql)),
    ("recovery.conf", Format::Codec(CodecId::Postgresql)),
    ("nginx.conf", Format::Codec(CodecId::Nginx)),
];

/// Files known by their extensions, in lower case.
const EXTENSIONS: &[(&str, Format)] = &[
    ("toml", Format::Codec(CodecId::Toml)),
    ("json", Format::Codec(CodecId::Json)),
    ("jsonc", Format::Codec(CodecId::Json)),
    ("json5", Format::Codec(CodecId::Json)),
    ("env", Format::Codec(CodecId::Dotenv)),
    ("yaml", Format::Codec(CodecId::Yaml)),
    ("yml", Format::Codec(CodecId::Yaml)),
    ("xml", Format::Codec(CodecId::Xml)),
    ("csproj", Format::Codec(CodecId::Xml)),
    ("dtsconfig", Format::Codec(CodecId::Xml)),
    ("fsproj", Format::Codec(CodecId::Xml)),
    ("nuspec", Format::Codec(CodecId::Xml)),
    ("plist", Format::Codec(CodecId::Xml)),
    ("props", Format::Codec(CodecId::Xml)),
    ("publishsettings", Format::Codec(CodecId::Xml)),
    ("pubxml", Format::Codec(CodecId::Xml)),
    ("targets", Format::Codec(CodecId::Xml)),
    ("vbproj", Format::Codec(CodecId::Xml)),
    ("config", Format::ByContent(&[CodecId::Xml, CodecId::Ini])),
    ("properties", Format::Codec(CodecId::Properties)),
    ("hcl", Format::Codec(CodecId::Hcl)),
    ("tf", Format::Codec(CodecId::Hcl)),
    ("tfvars", Format::Codec(CodecId::Hcl)),
    ("gitconfig", Format::Codec(CodecId::Git)),
    ("desktop", Format::Codec(CodecId::Systemd)),
    // Avahi's are XML.
    ("service", Format::ByContent(&[CodecId::Systemd, CodecId::Xml])),
    ("socket", Format::Codec(CodecId::Systemd)),
    ("timer", Format::Codec(CodecId::Systemd)),
    ("mount", Format::Codec(CodecId::Systemd)),
    ("netdev", Format::Codec(CodecId::Systemd)),
    ("network", Format::Codec(CodecId::Systemd)),
    ("nspawn", Format::Codec(CodecId::Systemd)),
    ("automount", Format::Codec(CodecId::Systemd)),
    ("container", Format::ByContent(&[CodecId::Systemd])),
    ("link", Format::ByContent(&[CodecId::Systemd])),
    ("path", Format::ByContent(&[CodecId::Systemd])),
    ("slice", Format::ByContent(&[CodecId::Systemd])),
    ("swap", Format::ByContent(&[CodecId::Systemd])),
    ("target", Format::ByContent(&[CodecId::Systemd])),
    ("nmconnection", Format::Codec(CodecId::Ini)),
    ("ini", Format::ByContent(INI)),
    ("cfg", Format::ByContent(CFG)),
    ("cnf", Format::ByContent(&[CodecId::Mysql, CodecId::Ini])),
    ("conf", Format::ByContent(CONF)),
];

/// What an `.ini` may be. One dialect, though its readers differ: which of them wrote it shows in
/// values of several lines, say, and sealed, those show no more.
const INI: &[CodecId] = &[CodecId::Ini];

/// What a `.conf` may be: a stricter grammar first.
const CONF: &[CodecId] = &[
    CodecId::Nginx,
    CodecId::Ini,
    CodecId::Xml,
    CodecId::Toml,
    CodecId::Yaml,
    CodecId::Directives,
];

/// What a `.cfg` may be.
const CFG: &[CodecId] = &[CodecId::Ini, CodecId::Yaml, CodecId::Directives];

/// Endings of a file that is shipped to be copied, or that overrides another of its kind.
const VERSIONS: &[&[u8]] = &[b".dist", b".example", b".sample", b".default", b".local"];

/// How a file of this name is read; `None` when its name tells nothing.
pub(super) fn look_up(name: &[u8]) -> Option<Format> {
    let lower = name.to_ascii_lowercase();
    let known = |list: &[(&str, Format)], text: &[u8]| {
        list.iter().find(|(known, _)| known.as_bytes() == text).map(|(_, format)| format.clone())
    };
    if lower.starts_with(b".env.") {
        return Some(Format::Codec(CodecId::Dotenv));
    }
    let look_up = |name: &[u8]| {
        known(NAMES, name).or_else(|| {
            let dot = name.iter().rposition(|b| *b == b'.')?;
            known(EXTENSIONS, &name[dot + 1..])
        })
    };
    look_up(&lower)
        .or_else(|| look_up(VERSIONS.iter().find_map(|ending| lower.strip_suffix(*ending))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_known_by_its_name_then_its_extension_then_what_it_is_a_version_of() {
        for (name, codec) in [
            ("app.TOML", Some(CodecId::Toml)),
            (".env", Some(CodecId::Dotenv)),
            (".env.example", Some(CodecId::Dotenv)),
            ("redis.conf", Some(CodecId::Redis)),
            ("jail.local", Some(CodecId::Configparser)),
            ("icecast.xml.dist", Some(CodecId::Xml)),
            ("settings.yml.local", Some(CodecId::Yaml)),
            ("README", None),
            ("x.dist", None),
            (".local", None),
        ] {
            assert_eq!(look_up(name.as_bytes()), codec.map(Format::Codec), "{name}");
        }
        assert!(look_up(b"x.conf").is_some_and(|format| format.is_by_content()));
    }
}
