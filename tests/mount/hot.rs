//! A file that is read again and again costs one message each time.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;

use crate::support::Fixture;

/// Requests of the kernel so far, by kind.
fn requests(fixture: &Fixture) -> BTreeMap<String, i64> {
    let text = fixture.seen(".confseal/metrics");
    let counts = text.lines().filter_map(|line| {
        let (_, rest) = line.strip_prefix("confseal_requests_total{")?.split_once("op=\"")?;
        let (op, count) = rest.split_once("\"} ")?;
        Some((op.to_owned(), count.parse().ok()?))
    });
    counts.collect()
}

#[test]
fn a_hot_open_read_and_close_is_one_request() {
    const TIMES: i64 = 1000;
    let mut fixture = Fixture::new();
    fs::create_dir(fixture.store().join("conf.d")).unwrap();
    fixture.put("conf.d/app.toml", "password = \"hunter2-hunter2\"\n").mount();
    let path = fixture.mnt().join("conf.d/app.toml");
    let read = || {
        let mut text = [0; 64];
        let mut file = fs::File::open(&path).unwrap();
        assert_eq!(file.read(&mut text).unwrap(), 29);
    };
    // A stamp younger than two seconds proves nothing: such a file is compared at each open.
    std::thread::sleep(std::time::Duration::from_millis(2200));
    read();
    read();
    let before = requests(&fixture);
    for _ in 0..TIMES {
        read();
    }
    let after = requests(&fixture);
    let cost = |op: &str| after[op] - before[op];
    // Looking at the counts costs a few requests too.
    let few = 20;
    assert!((TIMES..TIMES + few).contains(&cost("open")), "{}", cost("open"));
    for (op, count) in after.iter().filter(|(op, _)| !["open", "release"].contains(&op.as_str())) {
        assert!(count - before[op] < few, "{op}: {}", count - before[op]);
    }
}
