//! Databases: PostgreSQL with its whole cluster under a mount, MariaDB's client with its password
//! in `.my.cnf`.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use crate::scene::{Server, eventually, finish, found_in, need};
use crate::support::{Fixture, sh};

/// An account that every Debian has, for servers that refuse to be root.
const NOBODY: u32 = 65534;

/// `program` as that account.
fn as_nobody(program: &Path) -> Command {
    let mut command = Command::new(need("setpriv"));
    command.args([&format!("--reuid={NOBODY}"), &format!("--regid={NOBODY}"), "--clear-groups"]);
    command.arg(program);
    command
}

/// The tables hold no configuration; only its files are to be sealed.
const CLUSTER: &str = "version = 1\ndefaults = 1\n\
    [[file]]\npath = \"{base,global,pg_wal,pg_xact}/**\"\nseal = \"none\"\n";

#[test]
fn postgresql_alters_its_system_and_reloads_its_access_list() {
    let postgres = need("postgres");
    let mut fixture = Fixture::new();
    let (dir, store) = (fixture.dir().to_owned(), fixture.store());
    // The server has to get there, and the mount is over its own directory.
    fs::set_permissions(&dir, PermissionsExt::from_mode(0o711)).unwrap();
    fs::set_permissions(&store, PermissionsExt::from_mode(0o700)).unwrap();
    chown(&store, Some(NOBODY), Some(NOBODY)).unwrap();
    fs::write(dir.join("initial"), "CANARY-superuser\n").unwrap();
    fs::set_permissions(dir.join("initial"), PermissionsExt::from_mode(0o644)).unwrap();
    let sockets = dir.join("sockets");
    fs::create_dir(&sockets).unwrap();
    chown(&sockets, Some(NOBODY), Some(NOBODY)).unwrap();
    let made = as_nobody(&need("initdb"))
        .args(["--no-sync", "--no-instructions", "--auth=scram-sha-256", "--username=postgres"])
        .args(["--wal-segsize=1", "--encoding=UTF8", "--locale=C", "--pwfile=initial", "-D"])
        .arg(&store)
        .current_dir(&dir)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", crate::support::text(&made));
    fixture.put(".confseal/policy.toml", CLUSTER);
    fixture.mount_over();

    let settings = format!(
        "fsync = off\nlisten_addresses = ''\nunix_socket_directories = '{}'\n",
        sockets.display()
    );
    sh(&store, &format!("printf '%s' \"{settings}\" >>postgresql.conf"));
    let start = |fixture: &Fixture| {
        let mut command = as_nobody(&postgres);
        command.arg("-D").arg(&store);
        Server::start(command, fixture, |said| said.contains("ready to accept connections"))
    };
    let psql = need("psql");
    let try_query = |password: &str, query: &str| {
        let mut command = Command::new(&psql);
        command.args(["-XAtq", "-U", "postgres", "-c", query, "-h"]).arg(&sockets);
        let done = command.env("PGPASSWORD", password).output().unwrap();
        match done.status.success() {
            true => Ok(String::from_utf8_lossy(&done.stdout).trim().to_owned()),
            false => Err(String::from_utf8_lossy(&done.stderr).into_owned()),
        }
    };
    let query = |query: &str| try_query("CANARY-superuser", query).expect(query);

    let server = start(&fixture);
    query("ALTER SYSTEM SET primary_conninfo = 'host=a user=r password=CANARY-upstream'");
    query("ALTER SYSTEM SET work_mem = '5MB'");
    assert_eq!(query("SELECT pg_reload_conf()"), "t");
    eventually("the reload", || query("SHOW work_mem") == "5MB");
    assert!(query("SHOW primary_conninfo").ends_with("password=CANARY-upstream"));

    // A rule for the network, and one for the local user, who needs no password any more.
    let rule = "host all all 192.0.2.1/32 ldap ldapserver=l ldapbasedn=o=x ldapbinddn=cn=x \
                ldapbindpasswd=CANARY-ldap ldapsearchattribute=uid";
    sh(&store, &format!("echo '{rule}' >>pg_hba.conf"));
    assert!(try_query("wrong", "SELECT 1").unwrap_err().contains("authentication failed"));
    sh(&store, "sed -i '1i local all postgres trust' pg_hba.conf");
    assert_eq!(query("SELECT pg_reload_conf()"), "t");
    eventually("the new access list", || try_query("wrong", "SELECT 1").is_ok());
    let options = query("SELECT options FROM pg_hba_file_rules WHERE auth_method = 'ldap'");
    assert!(options.contains("ldapbindpasswd=CANARY-ldap"), "{options}");
    assert_eq!(query("SELECT count(*) FROM pg_hba_file_rules WHERE error IS NOT NULL"), "0");
    query("CREATE TABLE shop AS SELECT generate_series(1, 1000) AS number");
    query("CHECKPOINT");
    server.stop();

    let server = start(&fixture);
    assert_eq!(query("SELECT sum(number) FROM shop"), "500500");
    assert!(query("SHOW primary_conninfo").ends_with("password=CANARY-upstream"));
    server.stop();
    let fixture = finish(fixture, &["CANARY"]);
    let altered = fixture.stored("postgresql.auto.conf");
    assert!(altered.contains("password=ENC:v1:") && altered.contains("work_mem = '5MB'"));
    assert!(fixture.stored("pg_hba.conf").contains("ldapbindpasswd=ENC:v1:"));
    assert_eq!(found_in(&store.join("base"), &["ENC:"]), Vec::<String>::new());
}

#[test]
fn mariadb_client_logs_in_with_its_own_file() {
    let mariadbd = need("mariadbd");
    need("mariadb");
    let mut fixture = Fixture::new();
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
