//! Documents of a given size, one secret in a hundred bytes, in every format.

use std::fmt::Write;

use confseal::format::CodecId;

/// What stands in front of the records, one record, and what stands between two and behind the
/// last.
struct Shape {
    front: &'static str,
    record: fn(&mut String, usize) -> std::fmt::Result,
    between: &'static str,
    behind: &'static str,
}

/// A document of at least `size` bytes that `codec` reads.
pub fn of(codec: CodecId, size: usize) -> String {
    let shape = shape(codec);
    let mut text = String::with_capacity(size + 256);
    text += shape.front;
    for n in 0.. {
        if n > 0 {
            text += shape.between;
        }
        (shape.record)(&mut text, n).expect("a string takes all");
        if text.len() >= size {
            break;
        }
    }
    text + shape.behind
}

fn plain(record: fn(&mut String, usize) -> std::fmt::Result) -> Shape {
    Shape { front: "# a document\n", record, between: "", behind: "" }
}

fn shape(codec: CodecId) -> Shape {
    match codec {
        CodecId::Toml => plain(|text, n| {
            writeln!(
                text,
                "[s{n}]\nhost = \"10.0.0.1\"  # of {n}\nport = {n}\ntags = [\"a\", \"b\"]\npassword = \"word-{n}-pass\"\n"
            )
        }),
        CodecId::Json => Shape {
            front: "{\n",
            record: |text, n| {
                write!(
                    text,
                    "  \"s{n}\": {{\"host\": \"10.0.0.1\", \"port\": {n}, \"tags\": [\"a\", true], \"password\": \"word-{n}-pass\"}}"
                )
            },
            between: ",\n",
            behind: "\n}\n",
        },
        CodecId::Yaml => plain(|text, n| {
            writeln!(
                text,
                "s{n}:\n  host: 10.0.0.1  # of {n}\n  port: {n}\n  tags: [a, 'b']\n  note: \"x y\"\n  password: word-{n}-pass"
            )
        }),
        CodecId::Xml => Shape {
            front: "<?xml version=\"1.0\"?>\n<config>\n",
            record: |text, n| {
                writeln!(
                    text,
                    "  <s{n} port=\"{n}\"><host>10.0.0.1</host><note>x &amp; y</note><password>word-{n}-pass</password></s{n}>"
                )
            },
            between: "",
            behind: "</config>\n",
        },
        CodecId::Hcl => plain(|text, n| {
            writeln!(
                text,
                "service \"s{n}\" {{\n  host = \"10.0.0.1\" # of {n}\n  port = {n}\n  tags = [\"a\", \"b\"]\n  password = \"word-{n}-pass\"\n}}"
            )
        }),
        CodecId::Nginx => plain(|text, n| {
            writeln!(
                text,
                "server {{\n    listen {n};\n    server_name h{n}.example.org; # of {n}\n    set $password word-{n}-pass;\n}}"
            )
        }),
        CodecId::Dotenv => plain(|text, n| {
            writeln!(
                text,
                "# of {n}\nS{n}_HOST=10.0.0.1\nexport S{n}_NOTE='x y'\nS{n}_PASSWORD=\"word-{n}-pass\""
            )
        }),
        CodecId::Properties => plain(|text, n| {
            writeln!(
                text,
                "# of {n}\ns{n}.host = 10.0.0.1\ns{n}.note : x \\\n    y\ns{n}.password=word-{n}-pass"
            )
        }),
        CodecId::Redis => plain(|text, n| {
            writeln!(
                text,
                "# the node of {n}\nbind 10.0.0.1\nsave {n} 1\ndbfilename d{n}.rdb\nrequirepass word-{n}-pass"
            )
        }),
        CodecId::Sshd | CodecId::Directives => plain(|text, n| {
            writeln!(
                text,
                "# the node of {n}\nHostName h{n}.example.org\nPort {n}\nNote x\nPassword word-{n}-pass"
            )
        }),
        CodecId::Postgresql => plain(|text, n| {
            writeln!(
                text,
                "# the node of {n}\nlog_line_prefix = '%m [%p] '\nport = {n}\nwork_mem = 4MB # x\nssl_passphrase = 'word-{n}-pass'"
            )
        }),
        CodecId::Git => plain(|text, n| {
            writeln!(
                text,
                "[remote \"s{n}\"]\n\turl = https://h{n}.example.org/x.git ; of {n}\n\tprune = true\n\tpassword = \"word-{n}-pass\""
            )
        }),
        CodecId::Ini
        | CodecId::Systemd
        | CodecId::Mysql
        | CodecId::Php
        | CodecId::Grafana
        | CodecId::Configparser => Shape {
            front: "; a document\n",
            record: |text, n| {
                writeln!(
                    text,
                    "[s{n}]\n; of {n}\nhost = 10.0.0.1\nport = {n}\nnote = x\npassword = word-{n}-pass"
                )
            },
            between: "",
            behind: "",
        },
        CodecId::Pattern => unreachable!("a pattern has no documents of its own"),
    }
}
