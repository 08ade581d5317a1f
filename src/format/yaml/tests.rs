use super::*;

/// Path, source and context number of each site.
fn found(text: &str) -> Vec<(String, &str, u8)> {
    let sites = Yaml.scan(text.as_bytes()).unwrap();
    let source = |site: &Site| &text[site.span.start..site.span.end];
    sites.iter().map(|site| (site.path.to_string(), source(site), site.context.0)).collect()
}

fn values(text: &str) -> Vec<(String, &str)> {
    let sites = found(text).into_iter().filter(|site| site.2 != Context::COMMENT.0);
    sites.map(|(path, source, _)| (path, source)).collect()
}

fn in_comments(text: &str) -> Vec<(String, &str)> {
    let sites = found(text).into_iter().filter(|site| site.2 == Context::COMMENT.0);
    sites.map(|(path, source, _)| (path, source)).collect()
}

fn owned<'a>(sites: &[(&str, &'a str)]) -> Vec<(String, &'a str)> {
    sites.iter().map(|(path, source)| ((*path).to_owned(), *source)).collect()
}

/// Each site's path, and those under which aliases show it.
fn shown(text: &str) -> Vec<(String, Vec<String>)> {
    let sites = Yaml.scan(text.as_bytes()).unwrap();
    let also = |site: &Site| site.also.iter().map(ToString::to_string).collect();
    sites.iter().map(|site| (site.path.to_string(), also(site))).collect()
}

#[test]
fn every_style_is_found_with_exactly_its_source() {
    let text = "\u{feff}a: plain  # c\r\n'b': 'it''s'\r\nc: \"x\\\r\n  y\"\r\nd: |- # c\r\n  l\r\n\r\n\r\n\
                e: >+\r\n  f\r\n\r\ng:\r\n  two\r\n  lines\r\nh: !t &x 1\r\ni:\r\nj: ~";
    let wanted = [
        ("a", "plain"),
        ("b", "'it''s'"),
        ("c", "\"x\\\r\n  y\""),
        ("d", "|- # c\r\n  l"),
        ("e", ">+\r\n  f\r\n"),
        ("g", "two\r\n  lines"),
        ("h", "1"),
        ("j", "~"),
    ];
    assert_eq!(values(text), owned(&wanted));
}

#[test]
fn paths_lead_through_every_kind_of_collection() {
    let text = "a: {b: [1, {c: 2}], ? [k, 'l'] : 3, : 4, e: }\nl:\n- - 5\n- m: 6\n? |\n  block\n: 7\n\
                ? {x: y}\n: z: 8\n&k n: 9\n*k : {o: 10}\n---\na: 11\n--- 12\n";
    let wanted = [
        ("a.b[]", "1"),
        ("a.b[].c", "2"),
        ("a.\"[k, l]\"", "3"),
        ("a.\"\"", "4"),
        ("l[][]", "5"),
        ("l[].m", "6"),
        ("\"block%0A\"", "7"),
        ("\"{x, y}\".z", "8"),
        ("n", "9"),
        ("n.o", "10"),
        ("a", "11"),
        ("", "12"),
    ];
    assert_eq!(values(text), owned(&wanted));
}

#[test]
fn a_name_tells_the_elements_of_a_list_apart() {
    let text = "env:\n- value: x\n  name: DB\n- name: ENC:x\n  value: y\n- {key: K, value: z}\n- name: *n\n\
                - name: &n\n  sub: {name: S}";
    assert!(Yaml.scan(text.as_bytes()).is_err(), "an alias in front of its anchor");
    let text = &text.replace("*n", "true").replace(" &n", "");
    let wanted = [
        ("env[].DB.value", "x"),
        ("env[].name", "DB"),
        ("env[].name", "ENC:x"),
        ("env[].value", "y"),
        ("env[].key", "K"),
        ("env[].K.value", "z"),
        ("env[].name", "true"),
        ("env[].sub.name", "S"),
    ];
    assert_eq!(values(text), owned(&wanted));
    let sites = Yaml.scan(text.as_bytes()).unwrap();
    let naming: Vec<_> = (0..sites.len()).filter(|n| sites[*n].naming).collect();
    assert_eq!(naming, [1, 4, 6]);
}

#[test]
fn an_alias_shows_what_its_anchor_stands_at() {
    let text = "a: &a x\nb: &b {c: y, d: *a, l: [*a]}\ne: *b\nf: [*b]\n";
    let wanted: [(&str, &[&str]); 2] =
        [("a", &["b.d", "b.l[]", "e.d", "e.l[]", "f[].d", "f[].l[]"]), ("b.c", &["e.c", "f[].c"])];
    assert_eq!(
        shown(text),
        wanted.map(|(path, also)| {
            (path.to_owned(), also.iter().map(|path| (*path).to_owned()).collect())
        })
    );
}

#[test]
fn merged_values_show_in_the_mapping_they_are_merged_into() {
    let text = "a: &a {p: x}\nb: &b {q: y}\nc:\n  <<: *a\n  r: z\nd: {<<: [*a, *b, {s: w}]}\n";
    let wanted: [(&str, &[&str]); 4] =
        [("a.p", &["c.p", "d.p"]), ("b.q", &["d.q"]), ("c.r", &[]), ("d.s", &[])];
    assert_eq!(
        shown(text),
        wanted.map(|(path, also)| {
            (path.to_owned(), also.iter().map(|path| (*path).to_owned()).collect())
        })
    );
}

#[test]
fn a_named_element_keeps_its_name_in_lists_alone() {
    let text = "l: [&i {name: N, value: x}]\nm: [*i]\nn: *i\n";
    let wanted: [(&str, &[&str]); 2] =
        [("l[].name", &["m[].N.name", "n.name"]), ("l[].N.value", &["m[].N.value", "n.value"])];
    assert_eq!(
        shown(text),
        wanted.map(|(path, also)| {
            (path.to_owned(), also.iter().map(|path| (*path).to_owned()).collect())
        })
    );
}

#[test]
fn the_data_of_a_kubernetes_secret_shows_as_such() {
    let text = "data: {a: eA==}\nkind: Secret\nmetadata: {name: n}\nstringData:\n  b: x\n---\n\
                kind: ConfigMap\ndata: {a: x}\n---\nitems: [{kind: Secret, data: {c: eA==}}]\n";
    let found = shown(text);
    let secret: Vec<_> = found
        .iter()
        .filter(|(_, also)| !also.is_empty())
        .map(|(path, also)| (&**path, &*also[0]))
        .collect();
    let wanted = [
        ("data.a", "Secret.data.a"),
        ("stringData.b", "Secret.data.b"),
        ("items[].data.c", "Secret.data.c"),
    ];
    assert_eq!(secret, wanted);
}

#[test]
fn an_alias_bomb_is_refused_and_costs_little() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for n in 1..40 {
        let list = vec![format!("*a{}", n - 1); 9].join(", ");
        text += &format!("a{n}: &a{n} [{list}]\n");
    }
    let error = Yaml.scan(text.as_bytes()).unwrap_err();
    assert_eq!(error.kind, "aliases that repeat too many values");
    let keys: String = (1..40)
        .map(|n| format!("? &a{n} [{}]\n: x\n", vec![format!("*a{}", n - 1); 9].join(", ")))
        .collect();
    assert_eq!(values(&format!("? &a0 x\n: y\n{keys}")).len(), 40);
    // An alias of what it stands in shows nothing.
    assert_eq!(values("&a [x, *a]"), owned(&[("[]", "x")]));
}

#[test]
fn commented_out_assignments_stand_where_they_would() {
    let samples: [(&str, &[(&str, &str)]); 20] = [
        ("#password: x", &[("password", "x")]),
        ("a: 1 # password: \"x\"  # b: 2", &[("password", "\"x\""), ("b", "2")]),
        ("## password: it's # so", &[("password", "it's")]),
        ("# password: 'x' y # so", &[("password", "'x' y # so")]),
        ("db:\n  # password: x\n  user: y\n# top: z\n", &[("db.password", "x"), ("top", "z")]),
        ("db:\n  # password: x\nuser: y", &[("db.password", "x")]),
        ("db:\n  user: y\n#  password: x\n", &[("db.password", "x")]),
        ("a:\n  b:\n    c: 1\n  # d: 2\n    # e: 3\n", &[("a.d", "2"), ("a.b.e", "3")]),
        (
            "# db:\n#   password: x\n#   l:\n#   - y\n# z: 1",
            &[("db.password", "x"), ("db.l[]", "y"), ("z", "1")],
        ),
        (
            "env:\n- name: A\n  value: x\n# - name: B\n#   value: y\n",
            &[("env[].name", "B"), ("env[].B.value", "y")],
        ),
        ("env:\n  # - PASSWORD=x\n  # - a list of words\n", &[("env[]", "PASSWORD=x")]),
        ("l:\n- 1\n# k: 2\n", &[("k", "2")]),
        ("# k: {a: 'x', l: [1]} # b: 2", &[("k.a", "'x'"), ("k.l[]", "1"), ("b", "2")]),
        ("# k: {\n#   a: x,\n# }", &[("k.a", "x,")]),
        ("f: { # a: \"x\",\n b: [ # c: 1\n ]}", &[("f.a", "\"x\""), ("f.b[].c", "1")]),
        ("# Note the words: x", &[]),
        ("# see http://x/y", &[]),
        ("# k:", &[]),
        ("# 'a b': x", &[("\"a b\"", "x")]),
        ("s: |\n  # a: x\nt: x#y\nu: 'z # b: c'\n", &[]),
    ];
    for (text, wanted) in samples {
        assert_eq!(in_comments(text), owned(wanted), "{text}");
    }
}

#[test]
fn the_lines_of_one_commented_out_value_are_one() {
    let samples: [(&str, &[(&str, &str)]); 7] = [
        (
            "# key: |\n#   one\n#\n#   b: two\n# c: 3",
            &[("key", "|\n#   one\n#\n#   b: two"), ("c", "3")],
        ),
        ("  # key: >-  # x\n  #  one\n", &[("key", ">-  # x\n  #  one")]),
        ("# key: \"one\n#   two\"\n", &[("key", "\"one\n#   two\"")]),
        ("# key: [one,\r\n#   two\r\n# ]\r\n", &[("key", "[one,\r\n#   two")]),
        ("# key: one\n#   two\n#   b: three\n", &[("key", "one\n#   two"), ("b", "three")]),
        ("# - key: |\n#     one\n#   b: 2\n", &[("[].key", "|\n#     one"), ("[].b", "2")]),
        ("# key: |\n\n#   a: one\n", &[("key", "|"), ("a", "one")]),
    ];
    for (text, wanted) in samples {
        assert_eq!(in_comments(text), owned(wanted), "{text}");
    }
}

#[test]
fn what_is_no_yaml_is_refused_with_its_place_and_nothing_quoted() {
    let deep = "[".repeat(100_000);
    let deep_block = "- ".repeat(100_000);
    let far = format!("a:\n{}b: 1\n", " ".repeat(300));
    for (text, line) in [
        (&b"a: 1\nb: hunter2: x"[..], 2),
        (b"a: {{ hunter2 }}\nb: [", 2),
        (b"a: *hunter2", 1),
        (b"a: 1\nb: - hunter2", 2),
        (b"\n\n\"\xff\": 1", 3),
        (b"<<<<<<< HEAD\na: 1\n=======\na: 2", 2),
        (deep.as_bytes(), 1),
        (deep_block.as_bytes(), 1),
        (far.as_bytes(), 1),
    ] {
        let error = Yaml.scan(text).unwrap_err();
        assert_eq!(error.line, line, "{error} in {}", text[..text.len().min(40)].escape_ascii());
        assert!(!error.to_string().contains("hunter2"));
    }
}
