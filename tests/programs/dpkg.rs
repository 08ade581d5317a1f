//! A package upgrade whose configuration file lies in the mount: dpkg compares it with what it
//! shipped, keeps or replaces it, and leaves the other version beside it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::scene::{assert_no_canary, finish, need};
use crate::support::{Fixture, sh};

/// The file that packages ship: a secret of its own in each version.
fn shipped(version: u32) -> String {
    format!("# shop {version}\nport = {version}\npassword = \"CANARY-shipped-{version}\"\n")
}

/// What the administrator made of it.
const EDITED: &str = "# shop 1\nport = 1\npassword = \"CANARY-edited\"\n";

/// A root directory for dpkg, in whose `/etc/app` the store is mounted.
struct Root {
    fixture: Fixture,
    root: PathBuf,
}

impl Root {
    fn new() -> Self {
        need("dpkg");
        need("dpkg-deb");
        let mut fixture = Fixture::apart();
        let root = fixture.dir().join("root");
        let etc = root.join("etc/app");
        fs::create_dir_all(&etc).unwrap();
        for dir in ["info", "updates", "triggers"] {
            fs::create_dir_all(root.join("var/lib/dpkg").join(dir)).unwrap();
        }
        fs::write(root.join("var/lib/dpkg/status"), "").unwrap();
        let store = fixture.store();
        fixture.mount_with(&store, Some(&etc), &[]);
        Self { fixture, root }
    }

    fn etc(&self) -> PathBuf {
        self.root.join("etc/app")
    }

    fn seen(&self, name: &str) -> String {
        fs::read_to_string(self.etc().join(name)).expect(name)
    }

    fn dpkg(&self, arguments: &str) -> String {
        let line = format!("dpkg --root=root --log=$PWD/dpkg.log --no-triggers {arguments} 2>&1");
        sh(self.fixture.dir(), &line)
    }

    /// Builds the package of one version and installs it.
    fn install(&self, version: u32, how: &str) -> String {
        build(self.fixture.dir(), version);
        self.dpkg(&format!("{how} --install app-{version}.deb </dev/null"))
    }

    /// No temporary name is left, nor any plaintext.
    fn assert_names(&self, names: &[&str]) {
        let mut found: Vec<_> =
            fs::read_dir(self.etc()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        found.sort();
        assert_eq!(found, names);
        for name in names {
            let stored = self.fixture.stored(name);
            assert!(stored.contains("\npassword = \"ENC:v1:"), "{name}:\n{stored}");
        }
        assert_no_canary(&self.fixture, &["CANARY"]);
    }
}

fn build(dir: &Path, version: u32) {
    let tree = dir.join(format!("app-{version}"));
    fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    fs::create_dir_all(tree.join("etc/app")).unwrap();
    let control = format!(
        "Package: app\nVersion: {version}\nArchitecture: all\nMaintainer: T <t@example.org>\n\
         Description: a test\n"
    );
    fs::write(tree.join("DEBIAN/control"), control).unwrap();
    fs::write(tree.join("DEBIAN/conffiles"), "/etc/app/app.toml\n").unwrap();
    fs::write(tree.join("etc/app/app.toml"), shipped(version)).unwrap();
    sh(dir, &format!("dpkg-deb --root-owner-group -Znone --build app-{version} app-{version}.deb"));
}

#[test]
fn dpkg_replaces_an_unchanged_conffile_and_asks_nothing() {
    let root = Root::new();
    root.install(1, "");
    assert_eq!(root.seen("app.toml"), shipped(1));
    assert_eq!(root.dpkg("--verify app"), "");
    root.install(2, "");
    assert_eq!(root.seen("app.toml"), shipped(2));
    assert_eq!(root.dpkg("--verify app"), "");
    root.assert_names(&["app.toml"]);
    root.dpkg("--purge app");
    assert!(!root.etc().join("app.toml").exists());
    fs::write(root.etc().join("app.toml"), EDITED).unwrap();
    finish(root.fixture, &["CANARY"]);
}

#[test]
fn dpkg_keeps_a_changed_conffile_or_takes_the_new_one() {
    let root = Root::new();
    root.install(1, "");
    fs::write(root.etc().join("app.toml"), EDITED).unwrap();
    assert!(root.dpkg("--verify app").contains("c /etc/app/app.toml"));

    root.install(2, "--force-confold");
    assert_eq!(root.seen("app.toml"), EDITED);
    assert_eq!(root.seen("app.toml.dpkg-dist"), shipped(2));
    root.assert_names(&["app.toml", "app.toml.dpkg-dist"]);

    root.install(3, "--force-confnew");
    assert_eq!(root.seen("app.toml"), shipped(3));
    assert_eq!(root.seen("app.toml.dpkg-old"), EDITED);
    root.assert_names(&["app.toml", "app.toml.dpkg-old"]);
    finish(root.fixture, &["CANARY"]);
}
