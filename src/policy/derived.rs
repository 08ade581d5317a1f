//! Names that programs derive from a file's name: backups, swap files, temporary files, what a
//! package manager puts beside a changed file. They hold the file's content, so its rules hold
//! for them too.
//!
//! Must stay true: what is missing here is sealed whole as a name that nobody knows, which is
//! safe; what is here by mistake takes the rules of a file it does not come from.

/// How often a name may be derived from a derived one (`x.bak~`).
const DEEPEST: usize = 4;

/// The names that `name` may be derived from, best first: the name at the root of a chain
/// before those on the way to it (`x.bak~` gives `x`, then `x.bak`).
pub fn derived_from(name: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    collect(name, DEEPEST, &mut found);
    found
}

fn collect(name: &[u8], depth: usize, found: &mut Vec<Vec<u8>>) {
    if depth == 0 {
        return;
    }
    for base in one_step(name) {
        if matches!(base, b"" | b"." | b"..") {
            continue;
        }
        collect(base, depth - 1, found);
        if !found.iter().any(|known| known == base) {
            found.push(base.to_vec());
        }
    }
}

/// What follows a name, in any case, when something is put beside it.
const SUFFIXES: [&[u8]; 8] =
    [b".bak", b".orig", b".tmp", b".new", b".old", b".augnew", b".augsave", b".save"];

/// What follows a name, and is itself followed by a word, when a package manager is at work.
const PACKAGERS: [&[u8]; 3] = [b".dpkg-", b".ucf-", b".rpm"];

fn one_step(name: &[u8]) -> Vec<&[u8]> {
    let mut bases = Vec::new();
    bases.extend(name.strip_prefix(b"#").and_then(|rest| rest.strip_suffix(b"#")));
    bases.extend(dated_backup(name));
    if let Some(base) = name.strip_suffix(b"~") {
        bases.extend(numbered_backup(base));
        bases.extend(vim_undo(base));
        bases.push(base);
    }
    for suffix in SUFFIXES {
        bases.extend(without_suffix(name, suffix));
    }
    for mark in PACKAGERS {
        bases.extend(before_last(name, mark, |word| word.iter().all(u8::is_ascii_lowercase)));
    }
    bases.extend(before_last(name, b";", |id| id.iter().all(u8::is_ascii_hexdigit)));
    bases.extend(vim_swap(name));
    bases.extend(ansible_temporary(name));
    bases
}

fn without_suffix<'a>(name: &'a [u8], suffix: &[u8]) -> Option<&'a [u8]> {
    let at = name.len().checked_sub(suffix.len())?;
    name[at..].eq_ignore_ascii_case(suffix).then_some(&name[..at])
}

/// What stands before the last `mark`, if something that passes `test` follows it.
fn before_last<'a>(name: &'a [u8], mark: &[u8], test: impl Fn(&[u8]) -> bool) -> Option<&'a [u8]> {
    let at = name.windows(mark.len()).rposition(|part| part == mark)?;
    let rest = &name[at + mark.len()..];
    (!rest.is_empty() && test(rest)).then_some(&name[..at])
}

/// `x.PID.DATE@TIME~`, as Ansible's `backup=yes` names it.
fn dated_backup(name: &[u8]) -> Option<&[u8]> {
    /// `d` is a digit, anything else itself.
    const STAMP: &[u8] = b"dddd-dd-dd@dd:dd:dd~";
    let at = name.len().checked_sub(STAMP.len())?;
    let fits = name[at..].iter().zip(STAMP).all(|(byte, wanted)| match wanted {
        b'd' => byte.is_ascii_digit(),
        wanted => byte == wanted,
    });
    let front = name[..at].strip_suffix(b".").filter(|_| fits)?;
    before_last(front, b".", |pid| pid.iter().all(u8::is_ascii_digit))
}

/// `x.~3~`, a numbered backup of GNU tools, without its last `~`.
fn numbered_backup(base: &[u8]) -> Option<&[u8]> {
    before_last(base, b".~", |number| number.iter().all(u8::is_ascii_digit))
}

/// `.x.un~`, vim's undo file, without its last `~`.
fn vim_undo(base: &[u8]) -> Option<&[u8]> {
    base.strip_prefix(b".")?.strip_suffix(b".un")
}

/// `.x.swp`, `.x.swo` and so on down to `.x.swa`, then `.x.svz`; `.swx` is vim's probe. A name
/// that begins with a dot gets no second one, so `.env.swp` is the swap file of `.env`.
fn vim_swap(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let front = name.len().checked_sub(4).filter(|_| name.starts_with(b".")).and_then(|at| {
        let is_swap = match &name[at..] {
            [b'.', b's', b'w', last] => last.is_ascii_lowercase(),
            [b'.', b's', b'v', last] => last.is_ascii_lowercase() && *last != b'g',
            _ => false,
        };
        is_swap.then_some(&name[..at])
    });
    front.into_iter().flat_map(|front| [&front[1..], front])
}

/// `.ansible_tmpRANDOMx`. Python draws eight characters; nothing marks where they end, so other
/// lengths follow as lesser guesses.
fn ansible_temporary(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let rest = name.strip_prefix(b".ansible_tmp").unwrap_or_default();
    let random = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'_';
    let longest = rest.iter().take_while(|byte| random(byte)).count().min(12);
    [8, 6, 7, 9, 10, 5, 11, 12, 4]
        .into_iter()
        .filter(move |len| *len <= longest && *len < rest.len())
        .map(move |len| &rest[len..])
        .chain((longest < 4 && !rest.is_empty()).then_some(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(name: &str) -> Option<String> {
        derived_from(name.as_bytes()).first().map(|base| String::from_utf8_lossy(base).into())
    }

    #[test]
    fn a_derived_name_leads_back_to_its_origin() {
        for name in [
            "x.toml~",
            "x.toml.bak",
            "x.toml.BAK",
            "x.toml.orig",
            "x.toml.tmp",
            "x.toml.new",
            "x.toml.old",
            "x.toml.dpkg-dist",
            "x.toml.dpkg-new",
            "x.toml.ucf-old",
            "x.toml.rpmnew",
            "x.toml.rpmsave",
            "x.toml;5f3a09bc",
            "x.toml.augnew",
            "#x.toml#",
            ".x.toml.swp",
            ".x.toml.swo",
            ".x.toml.swx",
            ".x.toml.svz",
            ".x.toml.un~",
            "x.toml.~12~",
            "x.toml.1234.2026-11-22@04:15:00~",
            ".ansible_tmpk3j2_x9qx.toml",
            "x.toml.bak~",
            "x.toml.dpkg-old.bak",
            "#x.toml.orig#",
            ".x.toml.bak.swp",
        ] {
            assert_eq!(first(name).as_deref(), Some("x.toml"), "{name}");
        }
    }

    #[test]
    fn the_swap_file_of_a_hidden_file_may_be_of_either_name() {
        assert_eq!(derived_from(b".env.swp"), [b"env".to_vec(), b".env".to_vec()]);
    }

    #[test]
    fn an_ordinary_name_is_derived_from_nothing() {
        for name in [
            "x.toml",
            ".4913",
            "sedAbC123",
            "x.rpm",
            "x.dpkg-",
            "x;",
            "x;zz",
            "~",
            ".~",
            "..~",
            "##",
            ".bak",
            ".logo.svg",
            "x.swp",
            ".env",
            ".",
            "",
        ] {
            assert!(derived_from(name.as_bytes()).is_empty(), "{name}: {:?}", first(name));
        }
    }

    #[test]
    fn a_long_chain_ends() {
        assert!(derived_from(&b"~".repeat(255)).len() <= 64);
        assert!(derived_from(&b".bak".repeat(60)).len() <= 64);
    }
}
