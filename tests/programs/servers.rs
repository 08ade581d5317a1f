//! Servers that take their configuration and their keys from a mount, reload them, and in Redis'
//! case rewrite them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::scene::{Server, assert_no_canary, eventually, finish, need};
use crate::support::{Fixture, sh};

/// A Redis server with its configuration in the mount.
fn redis(fixture: &Fixture) -> Server {
    let mut command = Command::new(need("redis-server"));
    command.arg(fixture.mnt().join("redis.conf"));
    let socket = fixture.dir().join("socket");
    Server::start(command, fixture, |said| {
        said.contains("eady to accept connections") && socket.exists()
    })
}

#[test]
fn redis_rewrites_its_configuration_and_starts_again_with_it() {
    let mut fixture = Fixture::apart();
    let dir = fixture.dir().to_owned();
    let view = format!(
        "# of the shop\nport 0\nunixsocket {0}/socket\ndir {0}\nsave \"\"\n\
         requirepass CANARY-first-pass\nuser app on >CANARY-app-pass ~* +@all\n# masterauth CANARY-old\n",
        dir.display()
    );
    fixture.mount();
    fs::write(fixture.mnt().join("redis.conf"), &view).unwrap();
    let before = fixture.stored("redis.conf");
    assert_no_canary(&fixture, &["CANARY"]);

    let say = |pass: &str, words: &str| {
        let line = format!("redis-cli -s socket --no-auth-warning -a {pass} {words} 2>&1");
        sh(&dir, &line).trim().to_owned()
    };
    let server = redis(&fixture);
    assert_eq!(say("CANARY-first-pass", "ping"), "PONG");
    assert_eq!(say("CANARY-app-pass", "--user app ping"), "PONG");
    // It writes a temporary file beside its configuration, and renames it.
    for words in
        ["config set maxclients 77", "config set masterauth CANARY-second-pass", "config rewrite"]
    {
        assert_eq!(say("CANARY-first-pass", words), "OK", "{words}");
    }

    let seen = fixture.seen("redis.conf");
    for line in
        ["maxclients 77\n", "requirepass \"CANARY-first-pass\"\n", "# masterauth CANARY-old\n"]
    {
        assert!(seen.contains(line), "{line:?} is missing in\n{seen}");
    }
    assert!(seen.contains("CANARY-second-pass"), "{seen}");
    let after = fixture.stored("redis.conf");
    assert!(after.contains("maxclients 77\n"), "not sealed field by field:\n{after}");
    // What Redis left alone, kept its token; the hashes that it wrote are sealed as well.
    let old = before.lines().find(|line| line.starts_with("# masterauth ENC:")).unwrap();
    assert!(after.contains(old), "{old} became another in\n{after}");
    assert_eq!(after.matches(" on #ENC:v1:").count(), 2, "{after}");

    // A new password, rewritten, is the one that the next server asks for.
    assert_eq!(say("CANARY-first-pass", "config set requirepass CANARY-third-pass"), "OK");
    assert_eq!(say("CANARY-third-pass", "config rewrite"), "OK");
    server.stop();
    let server = redis(&fixture);
    assert_eq!(say("CANARY-third-pass", "ping"), "PONG");
    assert_eq!(say("CANARY-third-pass", "config get maxclients"), "maxclients\n77");
    assert_eq!(say("CANARY-app-pass", "--user app ping"), "PONG");
    assert!(say("CANARY-first-pass", "ping").contains("NOAUTH"));
    server.stop();
    finish(fixture, &["CANARY"]);
}

#[test]
fn nginx_takes_its_configuration_through_the_mount() {
    need("nginx");
    let mut fixture = Fixture::apart();
    fixture.mount();
    let view = "daemon off;\npid nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\n  server {\n    \
                listen unix:nginx.socket;\n    set $api_key \"CANARY-key\"; # a note\n    location / \
                { proxy_set_header Authorization \"Bearer CANARY-bearer-1234567\"; }\n  }\n}\n";
    fs::write(fixture.mnt().join("nginx.conf"), view).unwrap();
    let said = sh(fixture.dir(), "nginx -t -p . -c mnt/nginx.conf 2>&1");
    assert!(said.contains("test is successful"), "{said}");
    let stored = fixture.stored("nginx.conf");
    assert!(stored.contains("set $api_key ENC:v1:"), "{stored}");
    finish(fixture, &["CANARY"]);
}

/// Makes a key and a certificate of the name `shop`; the lines of the key that say something.
fn certify(mnt: &Path) -> Vec<String> {
    let made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
                -subj /CN=shop -addext subjectAltName=DNS:shop -keyout tls/shop.key -out tls/shop.crt \
                2>/dev/null";
    sh(mnt, made);
    secret_lines(&mnt.join("tls/shop.key"))
}

/// The lines of a private key in PEM form that nobody could guess.
fn secret_lines(key: &Path) -> Vec<String> {
    let text = fs::read_to_string(key).expect("a key");
    let lines = text.lines().filter(|line| line.len() > 40 && !line.starts_with('-'));
    // The first line of an OpenSSH key says of which kind it is.
    let lines: Vec<_> = lines.filter(|line| !line.starts_with("b3BlbnNzaC1rZXk")).collect();
    assert!(!lines.is_empty(), "not a private key: {}", key.display());
    lines.into_iter().map(str::to_owned).collect()
}

#[test]
fn nginx_serves_tls_with_a_sealed_key_and_reloads_it() {
    let nginx = need("nginx");
    need("openssl");
    let mut fixture = Fixture::apart();
    let dir = fixture.dir().to_owned();
    fixture.mount();
    let mnt = fixture.mnt();
    fs::create_dir(mnt.join("tls")).unwrap();
    let mut secrets = certify(&mnt);
    let config = "daemon off;\npid nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\n  \
                  access_log off;\n  server {\n    listen unix:tls.socket ssl;\n    \
                  ssl_certificate tls/shop.crt;\n    ssl_certificate_key tls/shop.key;\n    \
                  location / { return 200 \"served\"; }\n  }\n}\n";
    fs::write(mnt.join("nginx.conf"), config).unwrap();
    // The certificate is no secret, its key goes whole.
    assert!(fixture.stored("tls/shop.key").starts_with("ENC:file:v1:"));

    let mut command = Command::new(nginx);
    command.arg("-p").arg(&dir).arg("-c").arg(mnt.join("nginx.conf"));
    let server = Server::start(command, &fixture, |_| {
        dir.join("tls.socket").exists() && dir.join("nginx.pid").exists()
    });
    // Nobody but the owner of the key gets through a verified handshake.
    let ask = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | openssl s_client -quiet -unix tls.socket \
               -CAfile mnt/tls/shop.crt -verify_hostname shop -verify_return_error 2>&1 || true";
    let answer = sh(&dir, ask);
    assert!(answer.ends_with("served"), "{answer}\n{}", server.log());

    let renewed = certify(&mnt);
    assert_ne!(renewed, secrets);
    secrets.extend(renewed);
    assert!(!sh(&dir, ask).ends_with("served"), "before the reload it has the old key");
    sh(&dir, "nginx -p . -c mnt/nginx.conf -s reload");
    eventually("the new key is served", || sh(&dir, ask).ends_with("served"));
    server.stop();
    let secrets: Vec<_> = secrets.iter().map(String::as_str).collect();
    finish(fixture, &secrets);
}

#[test]
fn sshd_proves_itself_with_a_sealed_host_key() {
    let sshd = need("sshd");
    need("ssh");
    need("ssh-keygen");
    // It insists on this one.
    fs::create_dir_all("/run/sshd").unwrap();
    let mut fixture = Fixture::apart();
    let dir = fixture.dir().to_owned();
    // An account that is locked may not log in with a key either: here root's is not.
    fs::write(dir.join("shadow"), "root:*:20000::::::\n").unwrap();
    sh(&dir, "mount --bind shadow /etc/shadow");
    fixture.mount();
    let mnt = fixture.mnt();
    let mut secrets = Vec::new();
    for key in ["ssh_host_ed25519_key", "id_ed25519"] {
        sh(&mnt, &format!("ssh-keygen -q -t ed25519 -N '' -C '' -f {key}"));
        assert!(fixture.stored(key).starts_with("ENC:file:v1:"), "{key}");
        secrets.extend(secret_lines(&mnt.join(key)));
    }
    // As `sshd` insists, and `ssh` as well.
    let mode = fs::metadata(mnt.join("ssh_host_ed25519_key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let config = format!(
        "HostKey {0}/ssh_host_ed25519_key\nAuthorizedKeysFile {0}/id_ed25519.pub\nUsePAM no\n\
         StrictModes no\nPidFile none\n",
        mnt.display()
    );
    fs::write(mnt.join("sshd_config"), config).unwrap();
    let sshd = sshd.display();
    sh(&dir, &format!("{sshd} -t -f mnt/sshd_config"));

    // A connection without a network: the client talks to a server that it starts itself.
    let public = fixture.seen("ssh_host_ed25519_key.pub");
    fs::write(dir.join("known_hosts"), format!("shop {public}")).unwrap();
    let log_in = format!(
        "ssh -F none -i mnt/id_ed25519 -o BatchMode=yes -o StrictHostKeyChecking=yes \
         -o UserKnownHostsFile=known_hosts -o GlobalKnownHostsFile=none -o IdentityAgent=none \
         -o IdentitiesOnly=yes -o 'ProxyCommand={sshd} -i -f {}/sshd_config' root@shop",
        mnt.display()
    );
    assert_eq!(sh(&dir, &format!("{log_in} echo welcome")), "welcome\n");

    // The other key is refused: the host key decides, not the configuration.
    fs::write(dir.join("known_hosts"), format!("shop {}", fixture.seen("id_ed25519.pub"))).unwrap();
    let refused = sh(&dir, &format!("! {log_in} echo welcome 2>&1"));
    assert!(refused.contains("Host key verification failed"), "{refused}");
    let secrets: Vec<_> = secrets.iter().map(String::as_str).collect();
    finish(fixture, &secrets);
}
