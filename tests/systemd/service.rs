//! Start, status, reload and stop.

use crate::machine::Machine;
use crate::shop::{KEY_ID, MOUNTPOINT, SECRET, SERVICE, put_shop_with_key, secret, start};

#[test]
fn the_service_is_ready_when_the_mount_stands_and_clean_when_it_is_stopped() {
    let machine = Machine::boot(put_shop_with_key);
    start(&machine);
    assert_eq!(secret(&machine), format!("password = \"{SECRET}\""));
    let status = machine.property(SERVICE, "StatusText");
    let expected =
        format!("/srv/shop is mounted at {MOUNTPOINT}, key {KEY_ID}; no file in trouble");
    assert_eq!(status, expected);
    println!("{}", machine.ok(&["systemctl", "status", SERVICE]));
    println!("{}", machine.ok(&["systemd-analyze", "security", SERVICE]));
    println!("{}", machine.story());
    machine.ok(&["systemctl", "stop", SERVICE]);
    assert_eq!(machine.property(SERVICE, "Result"), "success");
    assert!(!machine.run(&["mountpoint", "-q", MOUNTPOINT]).status.success());
    println!("{}", machine.story());
}
