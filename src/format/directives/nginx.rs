//! nginx and those that write alike (BIND, ISC's DHCP): `name value…;` and blocks in braces, taken
//! apart as `ngx_conf_read_token` does.
//!
//! Blocks are segments of the path, by their names without their arguments: a location may hold
//! anything. A directive that sets something named, a header or a variable, has that as a segment.
//! Every other word is a value. In a `map` the words on the left are values too: that is where keys
//! that clients send are compared.
//!
//! Must stay true: text that is no sequence of statements is refused. A language with braces and
//! semicolons would otherwise be claimed with nothing secret in it.

mod lex;

use self::lex::{Ending, Statement, statement};
use super::words::{INSIDE, is_plain};
use super::{Dialect, lua, site, values};
use crate::format::{Context, FieldPath, Front, ParseError, Site};
use crate::secret::SecretBytes;
use crate::span::Span;

pub(super) const DIALECT: Dialect = Dialect { scan, decode, encode, quote: "" };

/// Directives whose first argument says what the others are for.
const SETTERS: [&[u8]; 18] = [
    b"set",
    b"env",
    b"option",
    b"add_header",
    b"add_trailer",
    b"proxy_set_header",
    b"grpc_set_header",
    b"proxy_cookie_path",
    b"proxy_pass_header",
    b"fastcgi_param",
    b"uwsgi_param",
    b"scgi_param",
    b"auth_request_set",
    b"js_var",
    b"js_set",
    b"perl_set",
    b"set_by_lua",
    b"more_set_headers",
];

/// Blocks that list pairs. What their argument names is compared with the words on the left.
const MAPS: [&[u8]; 3] = [b"map", b"geo", b"split_clients"];

/// Words on the left in a `map` that are compared with nothing.
const PARAMETERS: [&[u8]; 5] = [b"default", b"include", b"hostnames", b"volatile", b"ranges"];

const MOST_BLOCKS: usize = 64;

/// A block that is open.
struct Block {
    path: Front,
    /// Of a `map`: what its left side is compared with, and what its right side sets.
    map: Option<(FieldPath, FieldPath)>,
}

fn scan(text: &[u8]) -> Result<Vec<Site>, ParseError> {
    let mut scan = Scan {
        text,
        sites: Vec::new(),
        blocks: vec![Block { path: Front::ROOT, map: None }],
        commented: false,
        any: false,
    };
    scan.run().map_err(|(at, kind)| ParseError::at(text, at, kind))?;
    Ok(scan.sites)
}

struct Scan<'a> {
    text: &'a [u8],
    sites: Vec<Site>,
    blocks: Vec<Block>,
    /// Whether there was a comment.
    commented: bool,
    /// Whether there was a statement.
    any: bool,
}

type Refused = (usize, &'static str);

impl Scan<'_> {
    fn run(&mut self) -> Result<(), Refused> {
        let text = self.text;
        let mut at = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        loop {
            at = lex::skip_blanks(text, at);
            match &text[at..] {
                [] => break,
                [b'#', ..] | [b'/', b'/', ..] => {
                    let end = lex::line_end(text, at);
                    self.comment(at, end, Context::COMMENT);
                    at = end;
                }
                [b'/', b'*', ..] => {
                    let len = memchr::memmem::find(&text[at + 2..], b"*/");
                    let end = at + 2 + len.ok_or((at, "a comment that is not closed"))?;
                    while at < end {
                        let line_end = lex::line_end(&text[..end], at);
                        self.comment(at, line_end, Context::BLOCK_COMMENT);
                        at = line_end + 1;
                    }
                    at = end + 2;
                }
                [b'}', ..] => {
                    self.blocks.pop();
                    if self.blocks.is_empty() {
                        return Err((at, "a `}` that closes nothing"));
                    }
                    at += 1;
                }
                // BIND and others end a block so.
                [b';', ..] if self.any => at += 1,
                _ => {
                    let found = statement(text, at)?;
                    self.any = true;
                    at = self.statement(&found)?;
                }
            }
        }
        match self.blocks.len() {
            1 if self.commented && !self.any => Err((0, "nothing but comments")),
            1 => Ok(()),
            _ => Err((text.len(), "a block that is not closed")),
        }
    }

    /// Takes in a statement; returns where the next begins.
    fn statement(&mut self, found: &Statement) -> Result<usize, Refused> {
        let name = found.words[0].of(self.text);
        match found.ending {
            Ending::Semicolon => {
                self.directive(&found.words, Context::ORDINARY)?;
                Ok(found.end)
            }
            Ending::Brace if name.ends_with(b"_by_lua_block") => {
                let path = self.path().key(name);
                lua::body(self.text, found.end, &path, &mut self.sites)
            }
            Ending::Brace => {
                self.block(&found.words)?;
                Ok(found.end)
            }
        }
    }

    fn path(&self) -> &Front {
        &self.blocks.last().expect("the document itself is never closed").path
    }

    fn block(&mut self, words: &[Span]) -> Result<(), Refused> {
        let (text, start) = (self.text, words[0].start);
        if self.blocks.len() > MOST_BLOCKS {
            return Err((start, "too many blocks"));
        }
        let name = words[0].of(text);
        if !is_name(name) {
            return Err((start, "not the name of a block"));
        }
        let path = self.path().key(name);
        if name == b"if" {
            self.condition(&path, &words[1..])?;
        }
        let map = (MAPS.contains(&name) && words.len() > 1).then(|| {
            let side = |word: Option<&Span>| path.key(word.map_or(&b""[..], |word| word.of(text)));
            (side(words.get(1)), side(words.last()))
        });
        self.blocks.push(Block { path: path.into(), map });
        Ok(())
    }

    /// The words that the condition of an `if` compares a variable with.
    fn condition(&mut self, path: &FieldPath, words: &[Span]) -> Result<(), Refused> {
        let text = self.text;
        let mut inner: Vec<Span> = words.to_vec();
        if let Some(first) = inner.first_mut()
            && text[first.start] == b'('
        {
            first.start += 1;
        }
        if let Some(last) = inner.last_mut()
            && lex::is_bare(text, *last)
            && text[..last.end].ends_with(b")")
            && !last.is_empty()
        {
            last.end -= 1;
        }
        inner.retain(|word| !word.is_empty());
        if let [variable, _operator, compared @ ..] = &inner[..]
            && text[variable.start] == b'$'
        {
            let path = path.key(variable.of(text));
            values(&mut self.sites, &path, compared, Context::ORDINARY);
        }
        Ok(())
    }

    fn directive(&mut self, words: &[Span], context: Context) -> Result<(), Refused> {
        let text = self.text;
        let block = self.blocks.last().expect("the document itself is never closed");
        let (name, arguments) = (words[0].of(text), &words[1..]);
        let sites = &mut self.sites;
        if let Some((left, right)) = &block.map {
            if !PARAMETERS.contains(&name) {
                sites.push(site(left, words[0], context));
            }
            values(sites, right, arguments, context);
            return Ok(());
        }
        if !is_name(name) {
            if block.path.is_root() || name.starts_with(b"$") {
                return Err((words[0].start, "not the name of a directive"));
            }
            // An entry of a list: `acl inside { 10.0.0.0/8; }`, `types { text/html html; }`.
            let list = block.path.element();
            sites.extend(words.iter().map(|word| site(&list, *word, context)));
            return Ok(());
        }
        let path = block.path.key(name);
        match arguments {
            [sign, value] if sign.of(text) == b"=" => sites.push(site(&path, *value, context)),
            [_, sign, ..] | [sign, ..] if sign.of(text) == b"=" => {
                return Err((sign.start, "an assignment"));
            }
            [what, value, rest @ ..] if SETTERS.contains(&name) && lex::is_bare(text, *what) => {
                let path = path.key(what.of(text));
                match rest {
                    [] => sites.push(site(&path, *value, context)),
                    _ => values(sites, &path, &arguments[1..], context),
                }
            }
            // `env NAME=value;`
            [value] if name == b"env" => sites.push(site(&path.element(), *value, context)),
            _ => values(sites, &path, arguments, context),
        }
        Ok(())
    }

    /// Takes in the directives that are commented out between `at` and `end`, on one line. Each
    /// ends in a semicolon, which tells it from prose.
    fn comment(&mut self, mut at: usize, end: usize, context: Context) {
        self.commented = true;
        let on_line = &self.text[..end];
        loop {
            let marks = |b: &&u8| b"#/*};".contains(*b) || lex::is_blank(**b);
            at += on_line[at..].iter().take_while(marks).count();
            if at == end {
                return;
            }
            let Ok(found) = statement(on_line, at) else { return };
            let in_map = self.blocks.last().is_some_and(|block| block.map.is_some());
            let likely = match in_map {
                true => found.words.len() == 2,
                false => is_name(found.words[0].of(on_line)),
            };
            if likely && found.ending == Ending::Semicolon {
                let before = self.sites.len();
                if self.directive(&found.words, context).is_err() {
                    self.sites.truncate(before);
                    return;
                }
            }
            at = found.end;
        }
    }
}

fn is_name(word: &[u8]) -> bool {
    let rest = |b: &u8| b.is_ascii_alphanumeric() || b"_-.".contains(b);
    word.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_') && word.iter().all(rest)
}

/// Whether `text` ends the comment that it stands in.
fn ends_comment(text: &[u8], context: Context) -> bool {
    context == Context::BLOCK_COMMENT && memchr::memmem::find(text, b"*/").is_some()
}

fn decode(source: &[u8], context: Context) -> Option<SecretBytes> {
    if context == INSIDE {
        return lua::decode(source);
    }
    if context.is_comment() && source.contains(&b'\n') || ends_comment(source, context) {
        return None;
    }
    let inner = lex::inner(source)?;
    let mut out = SecretBytes::with_capacity(inner.len());
    let mut at = 0;
    while at < inner.len() {
        let (bytes, len): (&[u8], usize) = match &inner[at..] {
            [b'\\', b't', ..] => (b"\t", 2),
            [b'\\', b'r', ..] => (b"\r", 2),
            [b'\\', b'n', ..] => (b"\n", 2),
            [b'\\', b'"' | b'\'' | b'\\', ..] => (&inner[at + 1..at + 2], 2),
            _ => (&inner[at..at + 1], 1),
        };
        out.extend(bytes);
        at += len;
    }
    Some(out)
}

fn encode(value: &[u8], context: Context) -> Option<SecretBytes> {
    if context == INSIDE {
        return lua::encode(value);
    }
    if value.contains(&0) || ends_comment(value, context) {
        return None;
    }
    if is_plain(value) && !value.starts_with(b"/") && !PARAMETERS.contains(&value) {
        return Some(value.into());
    }
    let mut out = SecretBytes::with_capacity(value.len() + 2);
    out.extend(b"\"");
    for byte in value {
        match byte {
            b'"' | b'\\' => out.extend(&[b'\\', *byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            byte => out.extend(&[*byte]),
        }
    }
    out.extend(b"\"");
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::super::NGINX;
    use super::super::tests::{check, found};
    use super::*;

    #[test]
    fn blocks_and_what_is_set_are_segments() {
        check(
            &NGINX,
            "user www-data;\nhttp{ server{ listen 80 default_server;\n location ~ \"^/x{2}\" {\n\
             proxy_set_header Authorization \"Bearer x\";set $api_key 'k';\n\
             fastcgi_param DB_PASSWORD x;proxy_pass http://${up}/;}}}\nenv A_TOKEN=x;",
            &[
                "user=www-data",
                "http.server.listen[]=80",
                "http.server.listen[]=default_server",
                "http.server.location.proxy_set_header.Authorization=\"Bearer x\"",
                "http.server.location.set.\"$api_key\"='k'",
                "http.server.location.fastcgi_param.DB_PASSWORD=x",
                "http.server.location.proxy_pass=http://${up}/",
                "env[]=A_TOKEN=x",
            ],
        );
    }

    #[test]
    fn what_clients_send_is_compared_with_values() {
        check(
            &NGINX,
            "map $http_x_api_key $ok {\n default 0;\n \"s3cret\" 1;\n}\n\
             server { if ($http_x_token != \"x\") { return 403; }\n if ($a = b) {return 1;} \
             if ( $c ~* 'd' ) {} if (-f $x) {} if ($y) {} }",
            &[
                "map.\"$ok\"=0",
                "map.\"$http_x_api_key\"=\"s3cret\"",
                "map.\"$ok\"=1",
                "server.if.\"$http_x_token\"=\"x\"",
                "server.if.return=403",
                "server.if.\"$a\"=b",
                "server.if.return=1",
                "server.if.\"$c\"='d'",
            ],
        );
    }

    #[test]
    fn directives_in_comments_end_in_a_semicolon() {
        check(
            &NGINX,
            "a b;\n# set $k \"x y\"; set $l z; # c d;\n#}\n# see the manual\n# it's; x\nb c; # d e;",
            &["a=b", "#set.\"$k\"=\"x y\"", "#set.\"$l\"=z", "#c=d", "b=c", "#d=e"],
        );
    }

    #[test]
    fn relatives_of_nginx_are_read_too() {
        check(
            &NGINX,
            "// c\n/* secret \"old\";\n * b c;\n*/ key \"rndc-key\" {\n algorithm hmac; /* x; */\n secret \"abc==\";\n};\n\
             acl in { 10.0.0.0/8; !x; };\nname = \"v\";\n",
            &[
                "#secret=\"old\"",
                "#b=c",
                "key.algorithm=hmac",
                "key.secret=\"abc==\"",
                "acl[]=10.0.0.0/8",
                "acl[]=!x",
                "name=\"v\"",
            ],
        );
    }

    #[test]
    fn strings_in_lua_are_values_and_its_braces_end_nothing() {
        check(
            &NGINX,
            "x_by_lua_block {\n local api_key = \"k}\" -- } \"no\"\n if a == 'b' then t = {[[ } ]]} end\n\
             --[==[ } ]==]\n}\na b;",
            &["x_by_lua_block.api_key=k}", "x_by_lua_block[]=b", "a=b"],
        );
    }

    #[test]
    fn other_languages_with_braces_are_refused() {
        for text in [
            "a = 1\n",
            "$x = 'y';",
            "my $x = 'y';",
            "a b\n",
            "a { b;",
            "a; }",
            "{ a b; }",
            "a 'b';c 'd",
            "a 'b'c;",
            "a \"b\") c;",
            "# only\n",
            "10.0.0.1 x;",
            "a {b_by_lua_block { [[ }",
            "let x = 1;",
            "/* x",
            ";",
            "a b\0;",
        ] {
            assert!(found(&NGINX, text).is_err(), "{text:?}");
        }
        assert!(found(&NGINX, &"a{".repeat(100_000)).is_err());
    }

    #[test]
    fn words_are_decoded_as_nginx_does() {
        let decoded = |source: &[u8]| decode(source, Context::ORDINARY).map(|v| v.to_vec());
        for (source, value) in [
            (&b"a"[..], &b"a"[..]),
            (b"\"a b\nc\"", b"a b\nc"),
            (b"'it\\'s\\n\\d'", b"it's\n\\d"),
            (b"a\\;b\\ c", b"a\\;b\\ c"),
            (b"${x}", b"${x}"),
            (b"a\"b", b"a\"b"),
        ] {
            assert_eq!(decoded(source).as_deref(), Some(value), "{}", source.escape_ascii());
        }
        for source in [&b""[..], b"a b", b"a;", b"'a", b"'a'b", b"a{"] {
            assert_eq!(decoded(source), None, "{}", source.escape_ascii());
        }
        for value in [&b""[..], b"pw", b"a\"'\\;{}#$ b", b"\n\r\t\xff", b"//x", b"default"] {
            let source = encode(value, Context::COMMENT).unwrap();
            assert_eq!(&decode(&source, Context::COMMENT).unwrap()[..], value);
        }
    }
}
