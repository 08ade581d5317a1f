//! What is sealed in files of the INI family, by the built-in rules.

use super::*;

/// Seals `view` by the built-in rules, and checks the stored text: `T0`, `T1`, … are its tokens.
#[track_caller]
fn seals(file: &str, view: &str, stored: &str) {
    let sealed = builtin().sealed(file, view, &[]);
    assert_eq!(sealed.whole, None);
    assert_eq!(without_tokens(&sealed.stored), stored, "{file}");
}

#[test]
fn each_variable_of_a_unit_is_judged_by_its_name() {
    seals(
        "shop.service",
        "[Service]\nEnvironment=LANG=C \"DB_PASSWORD=p w\" 'X=1' \\\n  # API_TOKEN=old\n  DB_HOST=h\n\
         #Environment=DB_PASSWORD=old\nExecStart=/bin/shop --password=hunter2 --port=1\n",
        "[Service]\nEnvironment=LANG=C \"DB_PASSWORD=T0\" 'X=1' \\\n  # API_TOKEN=T1\n  DB_HOST=h\n\
         #Environment=DB_PASSWORD=T2\nExecStart=/bin/shop --password=T3 --port=1\n",
    );
    // A variable in a drop-in whose name tells nothing makes the whole setting secret.
    seals(
        "shop.service.d/10-db.conf",
        "[Service]\nEnvironment=\"A=1\" \"DB_PASSWORD=x\"\nEnvironment=B=2\n",
        "[Service]\nEnvironment=T0\nEnvironment=B=2\n",
    );
}

#[test]
fn a_note_behind_a_secret_is_sealed_with_it() {
    seals("x.ini", "[db]\npassword = a ; b\nuser = x ; y\n", "[db]\npassword = T0\nuser = x ; y\n");
    seals("x.ini", "[db]\nuser = x ; password = y\n", "[db]\nuser = T0\n");
    seals("php.ini", "db.password = ab;cd ; x\n", "db.password = T0 ; x\n");
    seals("my.cnf", "[client]\npassword=ab#cd # x\n", "[client]\npassword=T0 # x\n");
    seals("grafana.ini", "[a]\nadmin_password = ab#cd\n", "[a]\nadmin_password = T0\n");
}

#[test]
fn secrets_in_several_lines_are_sealed_in_one() {
    seals(
        "setup.cfg",
        "[a]\nprivate_key =\n    one\n    two\n# c\nurl = x\n",
        "[a]\nprivate_key =T0\n# c\nurl = x\n",
    );
    // One of its lines assigns to a secret name.
    seals(
        "tox.ini",
        "[testenv]\nsetenv =\n    A = 1\n    DB_PASSWORD = x\ndeps =\n    pytest\n",
        "[testenv]\nsetenv =T0\ndeps =\n    pytest\n",
    );
    seals(
        "supervisord.conf",
        "[program:a]\nenvironment=A=\"x\",DB_PASSWORD=\"y\"\ncommand=/bin/a\n",
        "[program:a]\nenvironment=T0\ncommand=/bin/a\n",
    );
}

#[test]
fn well_known_files_keep_their_secrets() {
    seals(
        ".npmrc",
        "registry=https://registry.npmjs.org/\n//registry.npmjs.org/:_authToken=abc123\n",
        "registry=https://registry.npmjs.org/\n//registry.npmjs.org/:_authToken=T0\n",
    );
    seals(
        ".gitconfig",
        "[remote \"o\"]\n\turl = https://me:hunter22222@example.org/r.git ; x\n[github]\n\ttoken = \"x\"\n",
        "[remote \"o\"]\n\turl = https://me:T0@example.org/r.git ; x\n[github]\n\ttoken = T1\n",
    );
    seals(
        "wg0.conf",
        "[Interface]\nAddress = 10.0.0.1/24\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n[Peer]\n\
         PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\n",
        "[Interface]\nAddress = 10.0.0.1/24\nPrivateKey = T0\n[Peer]\n\
         PublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\n",
    );
    seals(
        "home.nmconnection",
        "[wifi]\nssid=home\n\n[wifi-security]\nkey-mgmt=wpa-psk\npsk=correct horse\n",
        "[wifi]\nssid=home\n\n[wifi-security]\nkey-mgmt=wpa-psk\npsk=T0\n",
    );
    seals(
        "credentials",
        "[default]\naws_access_key_id = x\naws_secret_access_key = y/z+1\n",
        "[default]\naws_access_key_id = x\naws_secret_access_key = T0\n",
    );
}

#[test]
fn whoever_reads_a_file_what_belongs_to_a_value_is_sealed() {
    for (view, stored) in [
        ("[a]\ntoken = \"c\" ; d\n", "[a]\ntoken = T0\n"),
        ("[a]\ntoken =\n  c\n  d\nb = e\n", "[a]\ntoken =T0\nb = e\n"),
        ("[a]\ntoken = \"\"\"c\nd = e\"\"\"\n", "[a]\ntoken = T0\n"),
        ("[a]\ntoken = \"c\nd\"\nb = e", "[a]\ntoken = T0\nb = e"),
        ("[a]\n;token = \"c\n;d\"\n;b = e", "[a]\n;token = T0\n;b = e"),
        ("[a]\n# token = c \\\n# d\n", "[a]\n# token = T0\n"),
        ("[a]\nhost = c\n  token = d\n", "[a]\nhost = T0\n"),
    ] {
        seals("x.ini", view, stored);
    }
}

#[test]
fn what_a_conf_is_its_content_tells() {
    for (file, view, id) in [
        ("x.cnf", "[a]\nb=c # d\n", CodecId::Mysql),
        ("x.cnf", "b = c\n[a]\n", CodecId::Ini),
        ("x.conf", "a = b\n", CodecId::Ini),
        ("x.config", "[a]\nb = c\n", CodecId::Ini),
    ] {
        let sealed = everything().sealed(file, view, &[]);
        assert_eq!(sealed.form, Form::Fields(id), "{view}");
    }
}
