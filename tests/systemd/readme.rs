//! What the README has a newcomer type, typed.

use crate::machine::{Machine, put_at};
use crate::shop::SECRET;

const README: &str = include_str!("../../README.md");

/// The commands of the section that takes a directory into service, without what installs confseal:
/// tests/systemd/package.rs does that.
fn commands() -> Vec<&'static str> {
    let section = README.split("\n## ").find(|text| text.starts_with("Take a directory into"));
    let block = section.and_then(|text| text.split("```").nth(1)).expect("a block of commands");
    let commands = block.lines().filter(|line| line.starts_with("confseal "));
    commands.map(|line| line.split('#').next().unwrap_or(line).trim()).collect()
}

#[test]
fn a_directory_is_taken_into_service_and_given_back_as_the_readme_says() {
    let machine = Machine::boot(|root| {
        let text = format!("name = \"shop\"\npassword = \"{SECRET}\"\n");
        put_at(root, "/etc/shop/app.toml", text, 0o640);
    });
    let before = machine.sh("stat -c '%a %u %g %y' /etc/shop/app.toml; cat /etc/shop/app.toml");
    let commands = commands();
    assert!(commands.len() >= 5, "{commands:?}");
    for command in commands {
        // On a terminal these ask; here is none.
        let asks = !command.contains("--dry-run")
            && (command.contains(" adopt ") || command.contains(" eject "));
        let yes = if asks { " --yes" } else { "" };
        machine.sh(&format!("{command}{yes}"));
        let seen = machine.sh("cat /etc/shop/app.toml");
        assert!(seen.contains(SECRET), "after `{command}`: {seen}");
        if command.contains("--finish") {
            let stored = machine.sh("cat /etc/shop.sealed/app.toml");
            assert!(stored.contains("ENC:v1:") && !stored.contains(SECRET), "{stored}");
        }
    }
    let after = machine.sh("stat -c '%a %u %g %y' /etc/shop/app.toml; cat /etc/shop/app.toml");
    assert_eq!(after, before);
    machine.sh("! test -e /etc/shop.sealed && ! test -e /etc/confseal/shop.toml");
}
