//! docs/programs.md lists exactly the stories that are told here.

use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../docs/programs.md");

const STORIES: [&str; 6] = [
    include_str!("copies.rs"),
    include_str!("databases.rs"),
    include_str!("dpkg.rs"),
    include_str!("editors.rs"),
    include_str!("servers.rs"),
    include_str!("tools.rs"),
];

#[test]
fn the_page_lists_each_story_and_no_other() {
    let told: BTreeSet<_> = STORIES
        .iter()
        .flat_map(|file| file.split("#[test]\nfn ").skip(1))
        .map(|rest| rest.split('(').next().expect("a name"))
        .collect();
    let rows = PAGE.lines().filter(|line| line.starts_with("| ")).skip(1);
    let listed: Vec<_> = rows
        .map(|row| row.trim_end_matches(" |").rsplit(" | ").next().expect("a last column"))
        .map(|name| name.trim_matches('`'))
        .collect();
    assert_eq!(listed.len(), listed.iter().collect::<BTreeSet<_>>().len(), "a row twice");
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), told);
    assert!(told.len() > 20, "{told:?}");
}
