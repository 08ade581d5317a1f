//! Programs that know nothing of confseal read their configuration through a mount, and rewrite it:
//! what they read is plaintext, what the store holds is sealed, in each one's own format.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Fixture, sh};

/// A Redis server, ended with the test.
struct Redis(Child);

impl Redis {
    fn start(config: &Path, dir: &Path) -> Self {
        let mut command = Command::new("redis-server");
        command.arg(config).stdout(Stdio::null()).current_dir(dir);
        let redis = Self(command.spawn().expect("redis-server"));
        let until = Instant::now() + Duration::from_secs(20);
        while !dir.join("socket").exists() {
            assert!(Instant::now() < until, "redis-server does not begin to serve");
            std::thread::sleep(Duration::from_millis(20));
        }
        redis
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn redis_rewrites_its_own_configuration() {
    let mut fixture = Fixture::new();
    let dir = fixture.dir().to_owned();
    let view = format!(
        "# of the shop\nport 0\nunixsocket {0}/socket\ndir {0}\nsave \"\"\n\
         requirepass CANARY-first-pass\nuser app on >CANARY-app-pass ~* +@all\n# masterauth CANARY-old\n",
        dir.display()
    );
    fixture.mount();
    fs::write(fixture.mnt().join("redis.conf"), &view).unwrap();
    let before = fixture.stored("redis.conf");
    fixture.assert_sealed(&["CANARY"]);

    let redis = Redis::start(&fixture.mnt().join("redis.conf"), &dir);
    let say = |pass: &str, words: &str| {
        sh(&dir, &format!("redis-cli -s socket --no-auth-warning -a {pass} {words}"))
    };
    assert_eq!(say("CANARY-first-pass", "ping").trim(), "PONG");
    assert_eq!(say("CANARY-app-pass", "--user app ping").trim(), "PONG");
    // It writes a temporary file beside its configuration, and renames it.
    assert_eq!(say("CANARY-first-pass", "config set maxclients 77").trim(), "OK");
    assert_eq!(say("CANARY-first-pass", "config set masterauth CANARY-second-pass").trim(), "OK");
    assert_eq!(say("CANARY-first-pass", "config rewrite").trim(), "OK");
    drop(redis);

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
    fixture.assert_sealed(&["CANARY"]);
}

#[test]
fn git_configparser_and_sed_rewrite_theirs() {
    let mut fixture = Fixture::new();
    fixture.mount();
    let mnt = fixture.mnt();
    for (name, view) in [
        (
            ".gitconfig",
            "[user]\n\tname = somebody ; a note\n[http]\n\tproxy = http://u:CANARY-proxy@h\n",
        ),
        ("odoo.conf", "[options]\ndb_host = db1\ndb_password = CANARY-one\n  CANARY-more\n"),
        ("app.properties", "db.url=jdbc:x\ndb.password=CANARY-two\\\n   CANARY-three\n"),
        ("compose.yaml", "services:\n  db:\n    environment:\n      - DB_PASSWORD=CANARY-four\n"),
        ("web.config", "<a><add key=\"ApiSecret\" value=\"CANARY-five\"/></a>\n"),
    ] {
        fs::write(mnt.join(name), view).unwrap();
    }
    fixture.assert_sealed(&["CANARY"]);

    sh(&mnt, "git config --file .gitconfig user.name else");
    sh(
        &mnt,
        "git config --file .gitconfig --add http.extraheader 'Authorization: Bearer CANARY-bearer-1234567'",
    );
    sh(
        &mnt,
        "python3 -c 'import configparser as c; p = c.RawConfigParser(); p.read(\"odoo.conf\")\n\
         p.set(\"options\", \"db_host\", \"db2\")\nwith open(\"odoo.conf\", \"w\") as f: p.write(f)'",
    );
    sh(&mnt, "sed -i s/jdbc:x/jdbc:y/ app.properties");
    sh(&mnt, "printf '      - API_TOKEN=CANARY-six\\n' >> compose.yaml");
    sh(&mnt, "sed -i 's/CANARY-five/CANARY-seven/' web.config");

    fixture.assert_sealed(&["CANARY"]);
    for (name, clear, secret) in [
        (".gitconfig", "name = else", "Bearer CANARY-bearer-1234567"),
        ("odoo.conf", "db_host = db2", "CANARY-one\n"),
        ("app.properties", "db.url=jdbc:y", "CANARY-two\\\n   CANARY-three"),
        ("compose.yaml", "- DB_PASSWORD=ENC:v1:", "API_TOKEN=CANARY-six"),
        ("web.config", "key=\"ApiSecret\" value=\"ENC:v1:", "CANARY-seven"),
    ] {
        let (stored, seen) = (fixture.stored(name), fixture.seen(name));
        assert!(stored.contains(clear), "{name} is not sealed field by field:\n{stored}");
        assert!(seen.contains(secret), "{name}:\n{seen}");
    }
}

#[test]
fn nginx_takes_its_configuration_through_the_mount() {
    let mut fixture = Fixture::new();
    fixture.mount();
    let view = "daemon off;\npid nginx.pid;\nerror_log stderr;\nevents {}\nhttp {\n  server {\n    \
                listen unix:nginx.socket;\n    set $api_key \"CANARY-key\"; # a note\n    location / \
                { proxy_set_header Authorization \"Bearer CANARY-bearer-1234567\"; }\n  }\n}\n";
    fs::write(fixture.mnt().join("nginx.conf"), view).unwrap();
    let said = sh(fixture.dir(), "nginx -t -p . -c mnt/nginx.conf 2>&1");
    assert!(said.contains("test is successful"), "{said}");
    let stored = fixture.stored("nginx.conf");
    assert!(stored.contains("set $api_key ENC:v1:"), "{stored}");
    fixture.assert_sealed(&["CANARY"]);
}
