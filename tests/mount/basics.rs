//! The slice: plaintext above, tokens below.

use std::fs;

use crate::support::Fixture;

const APP: &str = "# shop\n[database]\npassword = \"CANARY-one-two\" # prod\nport = 5432\n";

#[test]
fn a_program_reads_and_writes_plaintext_while_the_disk_holds_tokens() {
    let mut fixture = Fixture::new();
    fixture.put("app.toml", APP).mount();
    assert_eq!(fixture.seen("app.toml"), APP);
    let edited = APP.replace("5432", "5433");
    fs::write(fixture.mnt().join("app.toml"), &edited).unwrap();
    assert_eq!(fixture.seen("app.toml"), edited);
    fixture.assert_sealed(&["CANARY-one-two"]);
    let stored = fixture.stored("app.toml");
    assert!(stored.contains("password = \"ENC:v1:") && stored.contains("\" # prod\nport = 5433"));
    fixture.umount().mount();
    assert_eq!(fixture.seen("app.toml"), edited);
    fixture.umount();
}

#[test]
fn a_mount_over_the_store_itself_works_the_same() {
    let mut fixture = Fixture::new();
    fixture.put("app.toml", APP).mount_over();
    let file = fixture.store().join("app.toml");
    fs::write(&file, APP).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), APP);
    fixture.umount();
    fixture.assert_sealed(&["CANARY-one-two"]);
}
