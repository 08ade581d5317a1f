//! Which class a file has, by rule, name and origin.

use super::*;

#[test]
fn files_have_their_class_by_rule_then_by_name() {
    let policy = policy(
        "[[file]]\npath = \"conf.d/\"\nseal = \"whole\"\n\
         [[file]]\npath = \"conf.d/*.toml\"\n\
         [[file]]\npath = \"odd.cfg\"\nformat = \"json\"\n\
         [[file]]\npath = \"logo.key\"\nseal = \"none\"\n\
         [[file]]\npath = \"strange.dat\"\nsecret = [\"a\"]\n\
         [[file]]\npath = \"plain.dat\"\npublic = [\"a\"]\n\
         [[file]]\npath = \"vague.dat\"\nseal = \"fields\"\n",
    );
    for (name, class, line) in [
        ("conf.d/x", Class::Whole, Some(3)),
        ("conf.d/x.toml", fields(CodecId::Toml), Some(6)),
        ("conf.d/d/x.toml", Class::Whole, Some(3)),
        ("odd.cfg", fields(CodecId::Json), Some(8)),
        ("logo.key", Class::Plain, Some(11)),
        ("strange.dat", Class::Whole, Some(14)),
        ("plain.dat", Class::Unknown, None),
        ("vague.dat", Class::Whole, Some(20)),
        ("x.toml", fields(CodecId::Toml), None),
        (".env.local", fields(CodecId::Dotenv), None),
        ("server.key", Class::Whole, None),
        ("ssh/id_ed25519", Class::Whole, None),
        ("ssh/id_ed25519.pub", Class::Unknown, None),
        ("ca.pem", Class::Unknown, None),
        ("README", Class::Unknown, None),
        (".4913", Class::Unknown, None),
        ("sedAbC123", Class::Unknown, None),
        (".confseal/policy.toml", Class::Plain, None),
        (".confseal/kept/x.toml", Class::Plain, None),
        ("sub/.confseal/x.toml", fields(CodecId::Toml), None),
    ] {
        let found = policy.classify(&file(name));
        assert_eq!((&found.class, &found.base), (&class, &file(name)), "{name}");
        let of_rule = match found.reason {
            ClassReason::Rule { line, .. } => Some(line),
            ClassReason::Name | ClassReason::Content => None,
            ClassReason::Unruled => {
                assert_eq!(class, Class::Unknown, "{name}");
                None
            }
            together => panic!("{together:?}: there is one policy"),
        };
        assert_eq!(of_rule, line, "{name}");
    }
}

#[test]
fn a_derived_name_follows_its_origin() {
    let policy = policy(
        "[[file]]\npath = \"**\"\nseal = \"none\"\n\
         [[file]]\npath = \"*.orig\"\nseal = \"whole\"\n\
         [[file]]\npath = \"*.toml\"\nsecret = [\"a\"]\n\
         [[file]]\npath = \".env\"\nsecret = [\"FOO\"]\n",
    );
    for (name, class, base) in [
        ("d/app.toml~", fields(CodecId::Toml), "d/app.toml"),
        ("app.toml.bak~", fields(CodecId::Toml), "app.toml"),
        (".ansible_tmpk3j2_x9qapp.toml", fields(CodecId::Toml), "app.toml"),
        (".env.bak", fields(CodecId::Dotenv), ".env"),
        (".env.swp", fields(CodecId::Dotenv), ".env"),
        ("app.toml.orig", Class::Whole, "app.toml.orig"),
        ("x.bak", Class::Plain, "x"),
        (".id_rsa.swp", Class::Plain, "id_rsa"),
    ] {
        let found = policy.classify(&file(name));
        assert_eq!((found.class, found.base), (class, file(base)), "{name}");
    }
    let ledger = Ledger::new();
    let secret = |name: &str, path: &str| {
        let path = FieldPath::parse(path).unwrap();
        policy.fields(&file(name), &ledger).judge(&path, b"x").secret
    };
    assert_eq!(secret("app.toml.bak", "a"), Secret::All);
    assert_eq!(secret(".env.bak", "FOO"), Secret::All);
    assert_eq!(secret(".env.local", "FOO"), Secret::No);
    for (name, base) in [("app.toml~", "app.toml"), ("id_rsa.bak", "id_rsa"), ("x~", "x~")] {
        assert_eq!(Policy::builtin().classify(&file(name)).base, file(base));
    }
}
