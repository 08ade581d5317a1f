//! What tells the readers apart.

/// How one kind of reader takes a text.
pub(super) struct Dialect {
    /// Each begins a comment at the start of a line.
    pub marks: &'static [u8],
    /// Whether `:` separates key and value too.
    pub colon: bool,
    /// What a key consists of.
    pub keys: Keys,
    /// How a value ends.
    pub values: Values,
    /// Whether a key before the first section is an error.
    pub needs_section: bool,
    /// Whether a key may stand without a value.
    pub bare_keys: bool,
    /// Whether a line that begins with `!` is an instruction to the reader.
    pub instructions: bool,
    /// Whether keys may follow a section's header on its line.
    pub inline_keys: bool,
}

/// What a key consists of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    /// Words that may have blanks between them.
    Words,
    /// As [`Keys::Words`]; `name[]` is a list, `name[sub]` a table.
    Arrays,
    /// A letter, then letters, digits and `-`; sections have subsections.
    Git,
}

/// How a value ends.
#[derive(Clone, Copy)]
pub(super) enum Values {
    /// Where the last of all readers ends it: with its line, whatever `;` and `#` do there; with
    /// lines that are indented further, as [`Values::Indented`], in a section; with a quote in front
    /// that closes on a later line.
    Any,
    /// Before the first line that is indented no further than its key.
    Indented,
    /// With a line that has no `\` at its end; no comments behind it.
    Continued,
    /// With its line, but for quotes and comments, as `quoted` tells.
    Quoted(&'static Quoting),
    /// As go-ini takes it: with its line or a comment, with the `"""` or backtick that closes it,
    /// or with a line that has no `\` at its end.
    Go,
}

/// Quotes, escapes and comments in a value.
pub(super) struct Quoting {
    pub reader: Reader,
    /// Each begins a comment, outside of quotes.
    pub marks: &'static [u8],
    pub quotes: &'static [u8],
    /// The quotes in which a backslash keeps what follows from closing.
    pub escaping: &'static [u8],
    /// Whether backslashes count outside of quotes too, and one at the end of a line continues it.
    pub backslashes: bool,
    pub open: Open,
}

/// Whose values they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    Git,
    Mysql,
    Php,
}

/// What becomes of a quote that does not close on its line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Open {
    /// It quotes to the end of the line.
    Line,
    /// It closes on a later one.
    Lines,
    /// It is an error.
    Error,
}

/// The dialect that most readers share, and in which no reader is harmed.
pub(super) static INI: Dialect = Dialect {
    marks: b";#",
    colon: true,
    keys: Keys::Words,
    values: Values::Any,
    needs_section: false,
    bare_keys: true,
    instructions: false,
    inline_keys: false,
};

/// git's `config.c`, gitconfig(5).
pub(super) static GIT: Dialect = Dialect {
    marks: b";#",
    colon: false,
    keys: Keys::Git,
    values: Values::Quoted(&Quoting {
        reader: Reader::Git,
        marks: b";#",
        quotes: b"\"",
        escaping: b"\"",
        backslashes: true,
        open: Open::Error,
    }),
    needs_section: false,
    bare_keys: true,
    instructions: false,
    inline_keys: true,
};

/// systemd.syntax(7), and the desktop entries that it was made after.
pub(super) static SYSTEMD: Dialect = Dialect {
    marks: b"#;",
    colon: false,
    keys: Keys::Words,
    values: Values::Continued,
    needs_section: false,
    bare_keys: false,
    instructions: false,
    inline_keys: false,
};

/// `my_default.c` of MySQL and MariaDB.
pub(super) static MYSQL: Dialect = Dialect {
    marks: b"#;",
    colon: false,
    keys: Keys::Words,
    values: Values::Quoted(&Quoting {
        reader: Reader::Mysql,
        marks: b"#",
        quotes: b"\"'",
        escaping: b"\"'",
        backslashes: false,
        open: Open::Line,
    }),
    needs_section: true,
    bare_keys: true,
    instructions: true,
    inline_keys: false,
};

/// `parse_ini_file`; PHP itself takes `#` for a part of the key.
pub(super) static PHP: Dialect = Dialect {
    marks: b";",
    colon: false,
    keys: Keys::Arrays,
    values: Values::Quoted(&Quoting {
        reader: Reader::Php,
        marks: b";",
        quotes: b"\"'",
        escaping: b"\"",
        backslashes: false,
        open: Open::Lines,
    }),
    needs_section: false,
    bare_keys: true,
    instructions: false,
    inline_keys: true,
};

/// go-ini with its default options, as Grafana loads it.
pub(super) static GRAFANA: Dialect = Dialect {
    marks: b";#",
    colon: true,
    keys: Keys::Words,
    values: Values::Go,
    needs_section: false,
    bare_keys: false,
    instructions: false,
    inline_keys: false,
};

/// Python's configparser with its default options, and with keys that have no value.
pub(super) static CONFIGPARSER: Dialect = Dialect {
    marks: b"#;",
    colon: true,
    keys: Keys::Words,
    values: Values::Indented,
    needs_section: true,
    bare_keys: true,
    instructions: false,
    inline_keys: false,
};
