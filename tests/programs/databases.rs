//! Databases: PostgreSQL with its whole cluster under a mount, MariaDB's client with its password
//! in `.my.cnf`.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::scene::{Server, assert_no_canary, eventually, finish, found_in, need};
use crate::support::{Fixture, sh, text};

/// An account that every Debian has, for servers that refuse to be root.
const NOBODY: u32 = 65534;

/// `program` as that account.
fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new(need("setpriv"));
    command.args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups"]);
    command.arg(program);
    command
}

/// A cluster of PostgreSQL, made in the plain, then covered by a mount over its own directory.
struct Cluster {
    fixture: Fixture,
    data: PathBuf,
    sockets: PathBuf,
}

impl Cluster {
    /// `settings` are appended to its configuration, through the mount.
    fn new(policy: &str, settings: &str) -> Self {
        let mut fixture = Fixture::apart();
        let (dir, data) = (fixture.dir().to_owned(), fixture.store());
        let sockets = dir.join("sockets");
        fs::create_dir(&sockets).unwrap();
        // The server has to get there.
        fs::set_permissions(&dir, PermissionsExt::from_mode(0o711)).unwrap();
        fs::set_permissions(&data, PermissionsExt::from_mode(0o700)).unwrap();
        for its in [&data, &sockets] {
            chown(its, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        fs::write(dir.join("initial"), "CANARY-superuser\n").unwrap();
        fs::set_permissions(dir.join("initial"), PermissionsExt::from_mode(0o644)).unwrap();
        let made = as_nobody(&need("initdb"))
            .args(["--no-sync", "--no-instructions", "--auth=scram-sha-256", "--username=postgres"])
            .args(["--wal-segsize=1", "--encoding=UTF8", "--locale=C", "--pwfile=initial", "-D"])
            .arg(&data)
            .current_dir(&dir)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", text(&made));
        fixture.put(".confseal/policy.toml", policy);
        fixture.mount_over();
        let mut file = OpenOptions::new().append(true).open(data.join("postgresql.conf")).unwrap();
        let at = sockets.display();
        write!(file, "listen_addresses = ''\nunix_socket_directories = '{at}'\n{settings}")
            .unwrap();
        Self { fixture, data, sockets }
    }

    fn start(&self) -> Server {
        let mut command = as_nobody(&need("postgres"));
        command.arg("-D").arg(&self.data);
        Server::start(command, &self.fixture, |said| said.contains("ready to accept connections"))
    }

    /// What the server answers to one who logs in with `password`, or why it does not.
    fn ask(&self, password: &str, query: &str) -> Result<String, String> {
        let mut command = Command::new(need("psql"));
        command.args(["-XAtq", "-U", "postgres", "-c", query, "-h"]).arg(&self.sockets);
        let done = command.env("PGPASSWORD", password).output().unwrap();
        match done.status.success() {
            true => Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned()),
            false => Err(String::from_utf8_lossy(&done.stderr).into_owned()),
        }
    }

    #[track_caller]
    fn query(&self, query: &str) -> String {
        self.ask("CANARY-superuser", query).expect(query)
    }
}

#[test]
fn postgresql_alters_its_system_and_reloads_its_access_list() {
    // The tables hold no configuration; only its files are to be sealed.
    let rule = "version = 1\ndefaults = 1\n\
                [[file]]\npath = \"{base,global,pg_wal,pg_xact}/**\"\nseal = \"none\"\n";
    let cluster = Cluster::new(rule, "fsync = off\n");
    let server = cluster.start();
    cluster.query("ALTER SYSTEM SET primary_conninfo = 'host=a user=r password=CANARY-upstream'");
    cluster.query("ALTER SYSTEM SET work_mem = '5MB'");
    assert_eq!(cluster.query("SELECT pg_reload_conf()"), "t");
    eventually("the reload", || cluster.query("SHOW work_mem") == "5MB");
    assert!(cluster.query("SHOW primary_conninfo").ends_with("password=CANARY-upstream"));

    // A rule for the network, and one for the local user, who needs no password any more.
    let rule = "host all all 192.0.2.1/32 ldap ldapserver=l ldapbasedn=o=x ldapbinddn=cn=x \
                ldapbindpasswd=CANARY-ldap ldapsearchattribute=uid";
    sh(&cluster.data, &format!("echo '{rule}' >>pg_hba.conf"));
    let refused = cluster.ask("wrong", "SELECT 1").unwrap_err();
    assert!(refused.contains("authentication failed"), "{refused}");
    sh(&cluster.data, "sed -i '1i local all postgres trust' pg_hba.conf");
    assert_eq!(cluster.query("SELECT pg_reload_conf()"), "t");
    eventually("the new access list", || cluster.ask("wrong", "SELECT 1").is_ok());
    let options = cluster.query("SELECT options FROM pg_hba_file_rules WHERE auth_method = 'ldap'");
    assert!(options.contains("ldapbindpasswd=CANARY-ldap"), "{options}");
    let bad = cluster.query("SELECT count(*) FROM pg_hba_file_rules WHERE error IS NOT NULL");
    assert_eq!(bad, "0");
    cluster.query("CREATE TABLE shop AS SELECT generate_series(1, 1000) AS number");
    cluster.query("CHECKPOINT");
    server.stop();

    let server = cluster.start();
    assert_eq!(cluster.query("SELECT sum(number) FROM shop"), "500500");
    assert!(cluster.query("SHOW primary_conninfo").ends_with("password=CANARY-upstream"));
    server.stop();
    let fixture = finish(cluster.fixture, &["CANARY"]);
    let altered = fixture.stored("postgresql.auto.conf");
    assert!(altered.contains("password=ENC:v1:") && altered.contains("work_mem = '5MB'"));
    assert!(fixture.stored("pg_hba.conf").contains("ldapbindpasswd=ENC:v1:"));
    assert_eq!(found_in(&cluster.data.join("base"), &["ENC:"]), Vec::<String>::new());
}

#[test]
fn postgresql_recovers_its_tables_when_they_are_sealed_whole() {
    // No rule knows the names of new tables and logs.
    let cluster = Cluster::new("version = 1\ndefaults = 1\n", "");
    let server = cluster.start();
    cluster.query("CREATE TABLE shop AS SELECT generate_series(1, 1000) AS number");
    cluster.query("CHECKPOINT");
    cluster.query("INSERT INTO shop SELECT generate_series(1001, 20000)");
    // At once, as in a crash: what was committed is in the log alone.
    server.signal("QUIT");
    drop(server);

    let server = cluster.start();
    assert!(server.log().contains("automatic recovery in progress"), "{}", server.log());
    assert_eq!(cluster.query("SELECT count(*), sum(number) FROM shop"), "20000|200010000");
    let table = cluster.query("SELECT pg_relation_filepath('shop')");
    server.stop();
    let mut fixture = cluster.fixture;
    fixture.umount();
    assert!(fixture.stored(&table).starts_with("ENC:file:v1:"));
    assert_no_canary(&fixture, &["CANARY"]);
}

#[test]
fn mariadb_client_logs_in_with_its_own_file() {
    let mariadbd = need("mariadbd");
    need("mariadb");
    let mut fixture = Fixture::apart();
    let dir = fixture.dir().to_owned();
    fixture.mount();
    // Its tables lie in memory: the server is there for the client's sake.
    let tables = tempfile::tempdir_in("/dev/shm").unwrap();
    let at = tables.path().display();
    let installed = need("mariadb-install-db");
    let without = "--skip-innodb --default-storage-engine=Aria --skip-log-bin";
    sh(
        &dir,
        &format!(
            "{} --no-defaults --user=root --datadir={at} --skip-test-db \
             --auth-root-authentication-method=socket {without} 2>&1",
            installed.display()
        ),
    );
    let mut command = Command::new(mariadbd);
    command.args(["--no-defaults", "--user=root", "--skip-networking"]);
    command.args(without.split(' '));
    command.arg(format!("--datadir={at}")).arg(format!("--socket={at}/socket"));
    let server = Server::start(command, &fixture, |said| said.contains("ready for connections"));
    let make = "CREATE USER app@localhost IDENTIFIED BY 'CANARY-first'";
    sh(&dir, &format!("mariadb --no-defaults -S {at}/socket -e \"{make}\""));

    let file = format!("[client]\nuser = app\npassword = CANARY-first\nsocket = {at}/socket\n");
    fs::write(fixture.mnt().join(".my.cnf"), &file).unwrap();
    let say = |query: &str| sh(&dir, &format!("HOME=$PWD/mnt mariadb -Nse \"{query}\" 2>&1"));
    assert_eq!(say("SELECT current_user()"), "app@localhost\n");
    // Its password changes, in the server and in the file.
    say("SET PASSWORD = PASSWORD('CANARY-second')");
    let refused = sh(&dir, "! HOME=$PWD/mnt mariadb -e 'SELECT 1' 2>&1");
    assert!(refused.contains("Access denied"), "{refused}");
    sh(&fixture.mnt(), "sed -i s/CANARY-first/CANARY-second/ .my.cnf");
    assert_eq!(say("SELECT current_user()"), "app@localhost\n");
    server.stop();
    assert!(fixture.stored(".my.cnf").contains("user = app\npassword = ENC:v1:"));
    finish(fixture, &["CANARY"]);
}
