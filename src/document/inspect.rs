//! Looking at a text without a key: what is sealed, what should be, and why.

use super::import::{FileImports, Imports};
use super::judge::judge;
use super::outside::{self, Outside};
use super::{Form, is_whole, parts};
use crate::format::{CodecId, FieldPath, Format, ParseError, Scanned, Site};
use crate::keyring::KeyId;
use crate::path::RelPath;
use crate::policy::{
    Class, ClassReason, Classified, FieldRules, Ledger, Policy, Reason, Secret, Verdict,
    looks_random,
};
use crate::secret::SecretBytes;
use crate::span::{Edit, Span, splice};
use crate::token::foreign::{Scheme, recognize};
use crate::token::{PREFIX, Token};

/// How a field stands in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// In the clear, or with a secret part of it in the clear.
    Clear,
    /// As a token under this key.
    Sealed(KeyId),
    /// With parts of it as tokens, the first under this key.
    PartsSealed(KeyId),
    /// As a token of another system that an import names.
    Foreign(Scheme),
    /// As what looks like a token of another system that no import names.
    Unimported(Scheme),
    /// Begins like a token and is none.
    Malformed,
}

/// One field of a text.
#[derive(Debug, Clone)]
pub struct Finding {
    /// Its path.
    pub path: FieldPath,
    /// Its line, 1-based.
    pub line: usize,
    /// Where its source stands in the text, quotes included.
    pub span: Span,
    /// Whether it stands in a comment.
    pub commented: bool,
    /// How it stands.
    pub standing: Standing,
    /// What the rules say. For a field sealed as a whole, by its path alone: its value is not known
    /// here.
    pub verdict: Verdict,
    /// Whether nothing says that it is secret, but it looks random: worth a look.
    pub suspect: bool,
}

impl Finding {
    /// Whether it stands in a comment, and is no secret: it may be a piece of prose.
    fn is_prose(&self) -> bool {
        let in_the_clear = self.standing == Standing::Clear && self.verdict.secret == Secret::No;
        self.commented && in_the_clear
    }

    /// Whether a secret stands in the clear here.
    pub fn is_exposed(&self) -> bool {
        self.standing == Standing::Clear && self.verdict.secret != Secret::No
    }
}

/// One text, looked at.
#[derive(Debug)]
pub struct Inspection {
    /// What class of file it is, and why.
    pub class: Classified,
    /// How it stands.
    pub form: Form,
    /// The key of a whole-file form, if it is well formed.
    pub whole_key: Option<KeyId>,
    /// Its fields, if it is read field by field.
    pub fields: Vec<Finding>,
    /// Why its fields could not be read.
    pub unreadable: Option<ParseError>,
    /// A credential that stands outside every field.
    pub outside: Option<Outside>,
    /// Whether the text as a whole should be sealed and is not: its class is whole, its fields
    /// cannot be read, or it holds a credential that no codec sees.
    pub exposed_whole: bool,
}

impl Inspection {
    /// Whether any secret stands in the clear.
    pub fn is_exposed(&self) -> bool {
        self.exposed_whole || self.fields.iter().any(Finding::is_exposed)
    }

    /// The keys of its tokens, one entry a token.
    pub fn keys(&self) -> impl Iterator<Item = KeyId> {
        let fields = self.fields.iter().filter_map(|field| match field.standing {
            Standing::Sealed(key) | Standing::PartsSealed(key) => Some(key),
            Standing::Foreign(_)
            | Standing::Unimported(_)
            | Standing::Clear
            | Standing::Malformed => None,
        });
        fields.chain(self.whole_key)
    }

    /// The schemes of its foreign tokens, one entry a token.
    pub fn foreign(&self) -> impl Iterator<Item = Scheme> {
        self.fields.iter().filter_map(|field| match field.standing {
            Standing::Foreign(scheme) => Some(scheme),
            Standing::Sealed(_)
            | Standing::PartsSealed(_)
            | Standing::Unimported(_)
            | Standing::Clear
            | Standing::Malformed => None,
        })
    }
}

/// Looks at `text`, the content of `file` in the store or in a view. Needs no key.
pub fn inspect(policy: &Policy, ledger: &Ledger, file: &RelPath, text: &[u8]) -> Inspection {
    inspect_with(policy, ledger, &Imports::default(), file, text)
}

/// The same in a store where tokens of other systems may stand; of them too, no key is asked.
pub fn inspect_with(
    policy: &Policy,
    ledger: &Ledger,
    imports: &Imports,
    file: &RelPath,
    text: &[u8],
) -> Inspection {
    let class = policy.classify(file);
    let mut seen = Inspection {
        class: class.clone(),
        form: Form::Plain,
        whole_key: None,
        fields: Vec::new(),
        unreadable: None,
        outside: None,
        exposed_whole: false,
    };
    if is_whole(text) {
        seen.form = Form::Whole;
        seen.whole_key = Token::parse_whole(text).ok().map(|token| token.key_id());
        return seen;
    }
    match &class.class {
        Class::Plain => {}
        Class::Whole => seen.exposed_whole = !text.is_empty(),
        Class::Unknown => seen.exposed_whole = holds_secret(policy, ledger, file, text),
        Class::Fields(format) => match format.scan(text) {
            Ok(Scanned { id, sites }) => {
                if class.is_by_content() {
                    seen.class.class = Class::Fields(Format::Codec(id));
                    seen.class.reason = ClassReason::Content;
                }
                let rules = policy.fields(file, ledger);
                let mut fields = fields(&rules, &imports.in_file(file), text, id, sites);
                let values = fields.iter().filter(|field| !field.is_prose());
                seen.outside = outside::find(policy, text, values.map(|field| field.span));
                seen.exposed_whole = seen.outside.is_some();
                if seen.outside.is_some() {
                    let hide =
                        |field: &mut Finding| field.path = outside::shown(policy, &field.path);
                    fields.iter_mut().for_each(hide);
                }
                if fields.iter().any(|field| field.standing != Standing::Clear) {
                    seen.form = Form::Fields(id);
                }
                seen.fields = fields;
            }
            Err(_) if class.is_by_content() => {
                seen.class.class = Class::Unknown;
                seen.class.reason = ClassReason::Unruled;
                seen.exposed_whole = holds_secret(policy, ledger, file, text);
            }
            Err(error) => {
                seen.unreadable = Some(error);
                // Nobody knows what is in it, so it would be sealed whole.
                seen.exposed_whole = !text.is_empty();
            }
        },
    }
    seen
}

/// Whether a text that no rule knows looks as if it held a secret: a credential anywhere in it, or
/// a secret name in any format that it reads as.
pub fn holds_secret(policy: &Policy, ledger: &Ledger, file: &RelPath, text: &[u8]) -> bool {
    let secret_field = |id: CodecId| {
        let codec = id.codec();
        let rules = policy.fields(file, ledger);
        codec.scan(text).is_ok_and(|sites| {
            sites.iter().any(|site| {
                let source = site.span.of(text);
                let value = codec.decode(source, site.context);
                let value = value.as_deref().unwrap_or(source);
                judge(&rules, id, text, site, value).secret != Secret::No
            })
        })
    };
    // To these any text is one, prose too: "Passwords are kept in the vault." would have a key.
    let telling = |id: &CodecId| {
        !matches!(
            id,
            CodecId::Properties
                | CodecId::Directives
                | CodecId::Redis
                | CodecId::Sshd
                | CodecId::Postgresql
        )
    };
    policy.credential_in_text(text).is_some()
        || CodecId::ALL.into_iter().filter(telling).any(secret_field)
}

pub(super) fn fields(
    rules: &FieldRules<'_>,
    imports: &FileImports<'_>,
    text: &[u8],
    id: CodecId,
    sites: Vec<Site>,
) -> Vec<Finding> {
    let codec = id.codec();
    let (mut line, mut counted) = (1, 0);
    let mut findings = Vec::new();
    for site in sites {
        line += text[counted..site.span.start].iter().filter(|b| **b == b'\n').count();
        counted = site.span.start;
        let source = site.span.of(text);
        let decoded = codec.decode(source, site.context);
        let value = decoded.as_deref().unwrap_or(source);
        let mut standing = standing(imports, &site.path, value);
        let verdict = match standing {
            Standing::Clear => judge(rules, id, text, &site, value),
            Standing::PartsSealed(_) => {
                let (verdict, exposed) = judge_around_parts(rules, id, text, &site, value);
                if exposed {
                    standing = Standing::Clear;
                }
                verdict
            }
            // Any ordinary value: it is the path that is judged.
            _ => judge(rules, id, text, &site, b"sealed value"),
        };
        let suspect = standing == Standing::Clear
            && verdict.reason == Reason::Unruled
            && !site.naming
            && looks_random(&site.path, value);
        let commented = codec.is_comment(site.context);
        let Site { path, span, .. } = site;
        findings.push(Finding { path, line, span, commented, standing, verdict, suspect });
    }
    findings
}

/// The verdict on a value some parts of which are sealed, and whether it makes more of it secret.
fn judge_around_parts(
    rules: &FieldRules<'_>,
    id: CodecId,
    text: &[u8],
    site: &Site,
    value: &[u8],
) -> (Verdict, bool) {
    let tokens = parts::tokens(value).unwrap_or_default();
    // Any word that is no secret by its form: it stands where a secret part does.
    let edits: Vec<_> = tokens.iter().map(|(span, _)| Edit { span: *span, text: "part" }).collect();
    let (masked, places) = splice(value, &edits);
    let masked = SecretBytes::from(masked);
    let verdict = judge(rules, id, text, site, &masked);
    let exposed = match &verdict.secret {
        Secret::No => false,
        Secret::All => true,
        Secret::Parts(spans) => spans.iter().any(|span| {
            let at = places.partition_point(|place| place.end < span.end);
            places.get(at).is_none_or(|place| span.start < place.start)
        }),
    };
    (verdict, exposed)
}

fn standing(imports: &FileImports<'_>, path: &FieldPath, value: &[u8]) -> Standing {
    match imports.look(path, value) {
        Some((scheme, true)) => return Standing::Foreign(scheme),
        Some((_, false)) => return Standing::Malformed,
        None => {}
    }
    if value.starts_with(PREFIX.as_bytes()) {
        return match (Token::parse(value), recognize(value)) {
            (Ok(token), _) => Standing::Sealed(token.key_id()),
            (Err(_), Some(scheme)) => Standing::Unimported(scheme),
            (Err(_), None) => Standing::Malformed,
        };
    }
    match parts::tokens(value) {
        Err(_) => Standing::Malformed,
        Ok(tokens) => match tokens.first() {
            Some((_, token)) => Standing::PartsSealed(token.key_id()),
            None => Standing::Clear,
        },
    }
}

/// The decoded value of `field` in `view`, the first that stands outside comments; `None` when
/// there is none or `file` is not read field by field.
pub fn field_value(
    policy: &Policy,
    file: &RelPath,
    view: &[u8],
    field: &FieldPath,
) -> Option<SecretBytes> {
    let Class::Fields(format) = policy.classify(file).class else { return None };
    let Scanned { id, sites } = format.scan(view).ok()?;
    // By text: what is repeated is written like any key.
    let name = field.to_string();
    let site = sites
        .iter()
        .filter(|site| site.path.to_string() == name)
        .min_by_key(|site| id.codec().is_comment(site.context))?;
    id.codec().decode(site.span.of(view), site.context)
}
