//! The sandbox of the unit: as tight as is stated, and no tighter than programs can bear.

use crate::machine::{Machine, put_at};
use crate::shop::{SERVICE, put_shop_with_key, start};
use crate::support::FIRST;

/// What releases of systemd before 254 say of the unit, and nothing else.
const KNOWN_COMPLAINT: &str = "'ImportCredential' in section";

#[test]
fn the_units_are_without_a_flaw_and_as_tight_as_is_stated() {
    let machine = Machine::boot(put_shop_with_key);
    let units = machine.sh("cd /usr/lib/systemd/system; ls -d confseal*@.*");
    let instances: Vec<_> = units.lines().map(|unit| unit.replace("@.", "@shop.")).collect();
    let instances: Vec<_> = instances.iter().map(String::as_str).collect();
    assert!(instances.contains(&SERVICE));
    let verified = machine.run(&[&["systemd-analyze", "verify"], &instances[..]].concat());
    let said = String::from_utf8_lossy(&verified.stderr);
    let complaints: Vec<_> = said.lines().filter(|line| !line.contains(KNOWN_COMPLAINT)).collect();
    assert!(verified.status.success() && complaints.is_empty(), "{said}");

    let report = machine.ok(&["systemd-analyze", "security", "--no-pager", SERVICE]);
    let last = report.lines().last().expect("a verdict");
    let figure = last.split_whitespace().find_map(|word| word.parse::<f64>().ok());
    let stated = include_str!("../../docs/systemd.md").split("gives **").nth(1);
    let stated = stated.and_then(|text| text.split("**").next()?.parse::<f64>().ok());
    assert!(figure.expect("a figure") <= stated.expect("a figure"), "{last}\n{report}");
}

#[test]
fn programs_may_do_in_the_mount_of_the_service_what_they_may_elsewhere() {
    let machine = Machine::boot(put_shop_with_key);
    start(&machine);
    // The same on both sides; the sealed file is one that the daemon makes anew when it is saved.
    let script = "
        cd $1; mkdir own; chown nobody own; cp app.toml own/; chown nobody:daemon own/app.toml
        runuser -u nobody -- sh -euc '
            umask 027; cd own; echo \"token = 1\" > new.toml; ln -s app.toml link; mkfifo pipe
            ln app.toml hard.toml; chmod 4750 new.toml; mv new.toml moved.toml; mkdir -m 2770 deep'
        cd own; chmod 6755 app.toml; sed -i s/password/passwd/ app.toml; truncate -s 100k sparse
        setfacl -m u:daemon:r hard.toml; setfattr -n user.note -v x hard.toml; touch -d 2001-02-03 pipe
        ! runuser -u daemon -- cat moved.toml 2>/dev/null
        stat -c '%n %A %U %G %F' * | sort; getfacl -c hard.toml; getfattr -d hard.toml
        flock hard.toml echo locked; cd ..; rm -r own";
    machine.ok(&["mkdir", "/srv/plain"]);
    machine.ok(&["cp", "/etc/shop/app.toml", "/srv/plain"]);
    let [mount, plain] = ["/etc/shop", "/srv/plain"].map(|directory| {
        let run = machine.run(&["sh", "-euc", script, "sh", directory]);
        assert!(run.status.success(), "{directory}: {run:?}");
        String::from_utf8(run.stdout).unwrap()
    });
    assert_eq!(mount, plain);
    // What it may not, as docs/systemd.md says.
    assert!(!machine.run(&["mknod", "/etc/shop/null", "c", "1", "3"]).status.success());
}

#[test]
fn the_service_finds_whoever_holds_the_store_that_it_is_to_cover() {
    let machine = Machine::boot(|root| {
        put_at(root, "/srv/own/app.toml", "x = 1\n", 0o666);
        put_at(root, "/etc/confseal/own.key", FIRST, 0o600);
        let text = "store = '/srv/own'\n[keys]\nmaster = 'file:/etc/confseal/own.key'\n";
        put_at(root, "/etc/confseal/own.toml", text, 0o644);
    });
    let hold = ["sh", "-c", "exec 3>>/srv/own/app.toml; exec sleep infinity"];
    let run = ["systemd-run", "--quiet", "--unit=holder", "--property=User=nobody"];
    machine.ok(&[&run[..], &hold].concat());
    let pid = machine.property("holder.service", "MainPID");
    let link = format!("/proc/{pid}/fd/3");
    machine.wait_until("it is held", || {
        machine.run(&["readlink", &link]).stdout == b"/srv/own/app.toml\n"
    });
    let service = "confseal@own.service";
    assert!(!machine.systemctl(&["start", service]).status.success());
    assert_eq!(machine.property(service, "ExecMainStatus"), "11", "{}", machine.story());
    assert!(machine.journal(service).contains(&pid), "{}", machine.journal(service));
    machine.ok(&["systemctl", "stop", "holder.service"]);
    machine.ok(&["systemctl", "start", service]);
}
