//! The package, from its installation to its purge. It is assembled of the list that cargo-deb goes by
//! (`Cargo.toml`), around the program under test: building it anew would take minutes.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use toml::Value;

use crate::machine::{Machine, put_at};
use crate::support::CONFSEAL;

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");

/// The parts of a package, from which versions of it can be made.
struct Package {
    place: tempfile::TempDir,
    metadata: Value,
}

fn done(command: &mut Command) {
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{command:?}: {output:?}");
}

impl Package {
    fn assemble() -> Self {
        let manifest = fs::read_to_string(Path::new(REPOSITORY).join("Cargo.toml")).unwrap();
        let manifest: Value = toml::from_str(&manifest).unwrap();
        let metadata = manifest["package"]["metadata"]["deb"].clone();
        let package = Self { place: tempfile::tempdir().unwrap(), metadata };
        let stage = Path::new(REPOSITORY).join("systemd/debian/stage");
        done(Command::new(stage).arg(CONFSEAL).arg(package.staged()));
        for asset in package.metadata["assets"].as_array().unwrap() {
            package.add(asset);
        }
        package
    }

    fn staged(&self) -> PathBuf {
        self.place.path().join("staged")
    }

    fn tree(&self) -> PathBuf {
        self.place.path().join("tree")
    }

    fn add(&self, asset: &Value) {
        if let Some(link) = asset.as_table() {
            let at = self.tree().join(link["dest"].as_str().unwrap());
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            return symlink(link["link_name"].as_str().unwrap(), at).unwrap();
        }
        let [source, target, mode] = [0, 1, 2].map(|at| asset[at].as_str().unwrap());
        let sources = self.sources(source);
        assert!(!sources.is_empty(), "{source}: there is no such file");
        for source in sources {
            let mut at = self.tree().join(target);
            if target.ends_with('/') {
                at.push(source.file_name().unwrap());
            }
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            fs::copy(source, &at).unwrap();
            let mode = u32::from_str_radix(mode, 8).unwrap();
            fs::set_permissions(&at, PermissionsExt::from_mode(mode)).unwrap();
        }
    }

    /// The files that an asset's source means: `*` stands in its last part alone.
    fn sources(&self, source: &str) -> Vec<PathBuf> {
        if source == "target/release/confseal" {
            return vec![CONFSEAL.into()];
        }
        let pattern = match source.strip_prefix("target/release/package/") {
            Some(staged) => self.staged().join(staged),
            None => Path::new(REPOSITORY).join(source),
        };
        let name = pattern.file_name().unwrap().to_str().unwrap();
        let (before, after) = name.split_once('*').unwrap_or((name, ""));
        let is_meant = |path: &PathBuf| {
            let found = path.file_name().unwrap().to_str().unwrap();
            found == name
                || name.contains('*') && found.starts_with(before) && found.ends_with(after)
        };
        let entries = fs::read_dir(pattern.parent().unwrap()).unwrap();
        entries.map(|entry| entry.unwrap().path()).filter(is_meant).collect()
    }

    /// Makes the package of one version.
    fn version(&self, version: &str, file: &Path) {
        let scripts =
            Path::new(REPOSITORY).join(self.metadata["maintainer-scripts"].as_str().unwrap());
        let control = self.tree().join("DEBIAN");
        fs::create_dir_all(&control).unwrap();
        for script in ["postinst", "prerm", "postrm"] {
            fs::copy(scripts.join(script), control.join(script)).unwrap();
        }
        let field = |name: &str| self.metadata[name].as_str().unwrap();
        let text = format!(
            "Package: confseal\nVersion: {version}\nArchitecture: all\nMaintainer: {}\nSection: {}\n\
             Depends: {}\nRecommends: {}\nDescription: assembled for a test\n",
            field("maintainer"),
            field("section"),
            // What cargo-deb finds out from the program.
            field("depends").replace("$auto", "libc6"),
            field("recommends"),
        );
        fs::write(control.join("control"), text).unwrap();
        let mut build = Command::new("dpkg-deb");
        done(build.args(["--root-owner-group", "-Znone", "--build"]).arg(self.tree()).arg(file));
    }
}

impl Machine {
    /// `dpkg`, without the triggers of other packages (man-db's takes seconds).
    fn dpkg(&self, arguments: &[&str]) -> String {
        self.ok(&[&["dpkg", "--no-triggers"], arguments].concat())
    }

    fn is_there(&self, path: &str) -> bool {
        self.run(&["test", "-e", path]).status.success()
    }

    /// How often the reader has read.
    fn readings(&self) -> u64 {
        self.sh("cat /run/count 2>/dev/null || echo 0").parse().unwrap()
    }

    fn reads_on(&self) {
        let before = self.readings();
        self.wait_until("the reader has read on", || self.readings() > before + 20);
    }
}

#[test]
fn the_package_holds_every_unit_and_page_of_the_repository() {
    let package = Package::assemble();
    for (from, to) in [("systemd", "usr"), ("docs", "usr/share/doc/confseal")] {
        for file in fs::read_dir(Path::new(REPOSITORY).join(from)).unwrap() {
            let file = file.unwrap();
            let name = file.file_name();
            let held = Command::new("find")
                .args([package.tree().join(to).as_os_str(), "-name".as_ref(), &name])
                .output()
                .unwrap();
            let is_held = !held.stdout.is_empty() || file.file_type().unwrap().is_dir();
            assert!(is_held, "{from}/{} is in no asset of Cargo.toml", name.display());
        }
    }
}

#[test]
fn a_package_is_installed_upgraded_under_a_reading_app_removed_and_purged() {
    let plain = "name = \"shop\"\npassword = \"hunter2\"\n";
    let package = Package::assemble();
    let machine = Machine::boot(|root| {
        // What the package is to bring.
        for path in ["usr/bin/confseal", "usr/sbin/mount.confseal", "usr/sbin/mount.fuse.confseal"]
        {
            fs::remove_file(root.join(path)).unwrap();
        }
        let units = root.join("usr/lib/systemd/system");
        for unit in fs::read_dir(Path::new(REPOSITORY).join("systemd")).unwrap() {
            let unit = unit.unwrap();
            if unit.file_type().unwrap().is_file() {
                fs::remove_file(units.join(unit.file_name())).unwrap();
            }
        }
        package.version("1.0", &root.join("srv/1.deb"));
        package.version("1.1", &root.join("srv/1.1.deb"));
        put_at(root, "/srv/shop.sealed/app.toml", plain, 0o644);
        put_at(root, "/srv/other/app.toml", plain, 0o644);
        // With it, images of containers forbid packages to start services.
        let _ = fs::remove_file(root.join("usr/sbin/policy-rc.d"));
    });

    machine.dpkg(&["-i", "/srv/1.deb"]);
    machine
        .sh("mkdir -p /etc/confseal /etc/shop /srv/point; confseal key new /etc/confseal/shop.key");
    let instance = "store = '/srv/shop.sealed'\nmountpoint = '/etc/shop'\n\
                    [keys]\nmaster = 'file:/etc/confseal/shop.key'\n";
    machine.put("/etc/confseal/shop.toml", instance, 0o644);
    machine.ok(&["confseal", "seal", "--instance", "shop", "/srv/shop.sealed"]);
    machine.ok(&["systemctl", "enable", "--now", "confseal@shop"]);

    // An app that reads all the time, and notes whatever it should not have seen.
    machine.put("/run/expected", plain, 0o644);
    let reader = "#!/bin/sh\nn=0\nwhile :; do\n\
                  seen=$(cat /etc/shop/app.toml 2>&1; echo code $?)\n\
                  [ \"$seen\" = \"$(cat /run/expected; echo code 0)\" ] || echo \"$n: $seen\" >> /run/bad\n\
                  n=$((n+1)); echo $n > /run/count.new; mv /run/count.new /run/count\ndone\n";
    machine.put("/usr/local/bin/reader", reader, 0o755);
    machine.ok(&["systemd-run", "--unit=reader", "/usr/local/bin/reader"]);
    machine.reads_on();
    let daemon = machine.property("confseal@shop", "MainPID");
    machine.dpkg(&["-i", "/srv/1.1.deb"]);
    machine.reads_on();
    assert_eq!(machine.sh("cat /run/bad 2>/dev/null || echo none"), "none");
    assert_eq!(machine.ok(&["dpkg-query", "-W", "-f", "${Version}", "confseal"]), "1.1");
    assert_ne!(machine.property("confseal@shop", "MainPID"), daemon, "the new program runs");
    assert_eq!(
        machine.sh("readlink /proc/$(systemctl show --value -p MainPID confseal@shop)/exe"),
        "/usr/bin/confseal"
    );
    machine.ok(&["systemctl", "stop", "reader"]);

    // A mount that no service holds keeps the package from being removed, and the services up.
    let key = "key=file:/etc/confseal/shop.key";
    machine.ok(&["mount", "-t", "confseal", "/srv/other", "/srv/point", "-o", key]);
    let refused = machine.run(&["dpkg", "--no-triggers", "-r", "confseal"]);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && told.contains("mounts that no service holds"), "{told}");
    assert_eq!(machine.property("confseal@shop", "ActiveState"), "active");
    machine.ok(&["umount", "/srv/point"]);
    machine.wait_until("its daemon has ended", || {
        !machine.run(&["pgrep", "-x", "mount.confseal"]).status.success()
    });

    machine.dpkg(&["-r", "confseal"]);
    assert_eq!(machine.sh("grep -c fuse.confseal /proc/mounts || true"), "0");
    for path in [
        "/usr/bin/confseal",
        "/usr/sbin/mount.confseal",
        "/usr/lib/systemd/system/confseal@.service",
    ] {
        assert!(!machine.is_there(path), "{path}");
    }
    assert!(machine.is_there("/var/lib/confseal/shop"));

    machine.dpkg(&["-P", "confseal"]);
    assert!(!machine.is_there("/var/lib/confseal"));
    assert_eq!(machine.sh("ls /etc/systemd/system/*.wants"), "");
    machine.ok(&["test", "-f", "/etc/confseal/shop.toml", "-a", "-f", "/etc/confseal/shop.key"]);
    assert!(machine.sh("cat /srv/shop.sealed/app.toml").contains("\"ENC:v1:"));
}
