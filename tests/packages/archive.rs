//! The packages: fetched once, unpacked, and the configuration files among what is in them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Small packages with configuration of every kind.
const PACKAGES: [&str; 60] = [
    "activemq",
    "apache2",
    "avahi-daemon",
    "chrony",
    "cloud-init",
    "collectd-core",
    "cups-daemon",
    "davfs2",
    "dbus",
    "ddclient",
    "fail2ban",
    "fontconfig-config",
    "freeradius-config",
    "gitolite3",
    "golang-github-containers-common",
    "icecast2",
    "jetty9",
    "krb5-config",
    "libldap-common",
    "libvirt-daemon-system",
    "lightdm",
    "logrotate",
    "mariadb-common",
    "maven",
    "memcached",
    "monit",
    "mosquitto",
    "munin-node",
    "mysql-common",
    "nagios4-common",
    "netplan.io",
    "nginx-common",
    "odbcinst",
    "openssh-client",
    "openssh-server",
    "pgbouncer",
    "php8.2-common",
    "php8.2-fpm",
    "polkitd",
    "postgresql-common",
    "puppet-agent",
    "radicale",
    "redis-sentinel",
    "redis-server",
    "samba-common",
    "snmpd",
    "sssd-common",
    "supervisor",
    "systemd",
    "tinyproxy",
    "tomcat10",
    "tomcat10-common",
    "tomcat10-user",
    "transmission-daemon",
    "udisks2",
    "unixodbc-common",
    "uwsgi-core",
    "vsftpd",
    "zabbix-agent",
    "zookeeper",
];

/// The largest file that counts as configuration, in bytes.
const LARGEST: u64 = 256 << 10;

/// One file of a package.
pub struct Shipped {
    pub package: String,
    /// Where it was unpacked.
    pub path: PathBuf,
    pub content: Vec<u8>,
}

impl Shipped {
    pub fn name(&self) -> &[u8] {
        self.path.file_name().expect("a name").as_encoded_bytes()
    }
}

/// Every file below `etc`, and every one elsewhere that is configuration by its name. `None` where
/// there is no archive to fetch from.
pub fn files() -> Option<Vec<Shipped>> {
    let root = unpacked()?;
    let mut files = Vec::new();
    for package in PACKAGES {
        collect(package, &root.join(package), false, &mut files);
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Some(files)
}

fn collect(package: &str, directory: &Path, in_etc: bool, files: &mut Vec<Shipped>) {
    for entry in std::fs::read_dir(directory).expect("an unpacked package").flatten() {
        let (path, kind) = (entry.path(), entry.file_type().expect("a kind of file"));
        if kind.is_dir() {
            collect(package, &path, in_etc || entry.file_name() == "etc", files);
        } else if kind.is_file() && entry.metadata().expect("metadata").len() <= LARGEST {
            let name = entry.file_name();
            let known = confseal::format::Format::by_file_name(name.as_encoded_bytes()).is_some();
            if in_etc || known {
                let content = std::fs::read(&path).expect("a file");
                files.push(Shipped { package: package.to_owned(), path, content });
            }
        }
    }
}

/// Where the packages are unpacked; each once for this target directory.
fn unpacked() -> Option<&'static Path> {
    static UNPACKED: OnceLock<Option<PathBuf>> = OnceLock::new();
    UNPACKED.get_or_init(fetch).as_deref()
}

fn fetch() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("packages");
    std::fs::create_dir_all(&root).expect("a directory below the target directory");
    // One test program at a time: they may run beside each other.
    let lock = std::fs::File::create(root.join(".lock")).expect("a lock");
    lock.lock().expect("the lock");
    let missing: Vec<_> =
        PACKAGES.into_iter().filter(|package| !root.join(package).is_dir()).collect();
    if missing.is_empty() {
        return Some(root);
    }
    let fetched = download(&root, &missing) || update() && download(&root, &missing);
    if !fetched {
        let absent = "no Debian archive to fetch packages from";
        assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{absent}");
        eprintln!("skipped: {absent}");
        return None;
    }
    for entry in std::fs::read_dir(&root).expect("the packages").flatten() {
        let archive = entry.path();
        if archive.extension().is_none_or(|extension| extension != "deb") {
            continue;
        }
        let name = archive.file_name().expect("a name").to_string_lossy().into_owned();
        let package = name.split('_').next().expect("a package's name");
        // Named when it is complete, so that a run that was stopped leaves nothing half unpacked.
        let partial = root.join(format!("{package}.partial"));
        let unpack = Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(&partial).status();
        assert!(unpack.is_ok_and(|status| status.success()), "cannot unpack {name}");
        std::fs::rename(&partial, root.join(package)).expect("a place for the package");
        std::fs::remove_file(&archive).expect("removed");
    }
    Some(root)
}

fn update() -> bool {
    Command::new("apt-get").args(["update", "-qq"]).status().is_ok_and(|status| status.success())
}

fn download(into: &Path, packages: &[&str]) -> bool {
    let mut command = Command::new("apt-get");
    command.args(["download", "-qq"]).args(packages).current_dir(into);
    command.status().is_ok_and(|status| status.success())
}
