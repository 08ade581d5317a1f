//! From the stored text to the view.

use std::sync::Arc;

use super::error::{Cause, OpenError};
use super::stock::{Item, Stock, WholeText, digest};
use super::{Form, Sealing, is_whole, parts, shape, whole};
use crate::format::{Codec, CodecId, FieldPath, Site};
use crate::path::RelPath;
use crate::policy::Class;
use crate::secret::SecretBytes;
use crate::span::{Edit, Span, splice};
use crate::token::{FIELD_PREFIX, Inner, Kind, PREFIX, Place, Purpose, Token, TokenError};

/// A stored file, opened.
#[derive(Debug)]
pub struct Opened {
    /// What programs see.
    pub view: SecretBytes,
    /// How it stands in the store.
    pub form: Form,
    /// Its tokens.
    pub stock: Stock,
    /// Sealed fields that no rule, name or value makes secret and that the ledger lacks.
    pub unruled: Vec<FieldPath>,
}

impl Opened {
    fn plain(stored: &[u8]) -> Self {
        let view = SecretBytes::from(stored);
        Self { view, form: Form::Plain, stock: Stock::default(), unruled: Vec::new() }
    }
}

impl Sealing {
    /// The view of `stored`, the content of `file` in the store.
    ///
    /// A file that holds no token is its own view. Errors: see [`Cause`]; never is a token shown
    /// as plaintext because it could not be opened.
    pub fn open(&self, file: &RelPath, stored: &[u8]) -> Result<Opened, OpenError> {
        if is_whole(stored) {
            return self.open_whole(file, stored);
        }
        match self.policy.classify(file).class {
            Class::Fields(codec) => self.open_fields(file, stored, codec),
            Class::Whole | Class::Unknown if self.holds_known_token(stored) => {
                Err(OpenError::whole(Cause::NoFormat))
            }
            Class::Whole | Class::Unknown | Class::Plain => Ok(Opened::plain(stored)),
        }
    }

    fn open_whole(&self, file: &RelPath, stored: &[u8]) -> Result<Opened, OpenError> {
        let token_error = |error| OpenError::whole(Cause::Token(error));
        let token = Token::parse_whole(stored).map_err(token_error)?;
        let place = Place { purpose: Purpose::Whole, file: file.as_bytes(), path: &[] };
        let opened = self.sealer.open(&place, &token, self.binding).map_err(token_error)?;
        if opened.kind != Kind::File {
            return Err(OpenError::whole(Cause::Layout));
        }
        let payload =
            whole::Payload::read(&opened.bytes).ok_or_else(|| OpenError::whole(Cause::Layout))?;
        // A remembered token that no longer opens is no loss: the value is in the file itself.
        let items = payload
            .remembered
            .iter()
            .filter_map(|remembered| self.open_remembered(file, remembered))
            .collect();
        let view = SecretBytes::from(payload.content);
        let text = WholeText { view_digest: digest(&view), text: Arc::from(stored), token };
        let stock = Stock { file: file.clone(), items, whole: Some(text) };
        Ok(Opened { view, form: Form::Whole, stock, unruled: Vec::new() })
    }

    pub(super) fn open_remembered(
        &self,
        file: &RelPath,
        remembered: &whole::Remembered<'_>,
    ) -> Option<Item> {
        let path = remembered.path()?;
        let token = Token::parse(remembered.token).ok()?;
        let place =
            Place { purpose: remembered.purpose, file: file.as_bytes(), path: remembered.aad };
        let opened = self.sealer.open(&place, &token, self.binding).ok()?;
        Some(Item {
            purpose: remembered.purpose,
            path,
            token,
            inner: Arc::new(opened.into_inner()),
        })
    }

    fn open_fields(&self, file: &RelPath, stored: &[u8], id: CodecId) -> Result<Opened, OpenError> {
        if !holds(stored, PREFIX) {
            return Ok(Opened::plain(stored));
        }
        let sites = match id.codec().scan(stored) {
            Ok(sites) => sites,
            // Someone's own text about tokens is not ours to refuse; a text with our tokens is.
            Err(_) if !holds(stored, FIELD_PREFIX) => return Ok(Opened::plain(stored)),
            Err(error) => return Err(OpenError::whole(Cause::Unreadable(error))),
        };
        let mut reopened = self.reopen(file, stored, id.codec(), &sites)?;
        let mut view = reopened.splice(stored);
        if !reopened.fits(&sites, &view.0, &view.1, id.codec()) {
            reopened.respell(id.codec());
            view = reopened.splice(stored);
            if !reopened.fits(&sites, &view.0, &view.1, id.codec()) {
                return Err(OpenError::whole(Cause::Misplaced));
            }
        }
        let unruled = self.unruled(file, &reopened);
        let form = if reopened.fields.is_empty() { Form::Plain } else { Form::Fields(id) };
        let stock = Stock { file: file.clone(), items: reopened.items(), whole: None };
        Ok(Opened { view: view.0.into(), form, stock, unruled })
    }

    /// Opens each token of `stored`, whose scan gave `sites`.
    pub(super) fn reopen<'a>(
        &self,
        file: &RelPath,
        stored: &[u8],
        codec: &dyn Codec,
        sites: &'a [Site],
    ) -> Result<Reopened<'a>, OpenError> {
        let mut fields = Vec::new();
        let mut error: Option<OpenError> = None;
        for (at, site) in sites.iter().enumerate() {
            let source = site.span.of(stored);
            if !holds(source, PREFIX) {
                continue;
            }
            match self.reopen_site(file, source, site, codec) {
                Ok(None) => {}
                Ok(Some(found)) => fields.push(Field { at, site, found }),
                Err(cause) => match &mut error {
                    Some(error) => error.failing += 1,
                    None => {
                        let before = &stored[..site.span.start];
                        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
                        let field = Some(site.path.clone());
                        error = Some(OpenError { field, line: Some(line), cause, failing: 1 });
                    }
                },
            }
        }
        match error {
            Some(error) => Err(error),
            None => Ok(Reopened { fields }),
        }
    }

    /// What the token, or the part tokens, in one scalar hold; `None` for a scalar without any.
    fn reopen_site(
        &self,
        file: &RelPath,
        source: &[u8],
        site: &Site,
        codec: &dyn Codec,
    ) -> Result<Option<Found>, Cause> {
        let Some(value) = codec.decode(source, site.context) else { return Ok(None) };
        let aad = site.path.to_aad();
        let open = |purpose, token: &Token| {
            let place = Place { purpose, file: file.as_bytes(), path: &aad };
            let opened = self.sealer.open(&place, token, self.binding).map_err(Cause::Token)?;
            Ok::<_, Cause>(Arc::new(opened.into_inner()))
        };
        if value.starts_with(PREFIX.as_bytes()) {
            let token = Token::parse(&value).map_err(Cause::Token)?;
            let inner = open(Purpose::Field, &token)?;
            let source = spell(&inner, site, codec).ok_or(Cause::Misplaced)?;
            let item = Item { purpose: Purpose::Field, path: site.path.clone(), token, inner };
            return Ok(Some(Found { items: vec![item], source, value: None }));
        }
        let tokens = parts::tokens(&value).map_err(Cause::Token)?;
        if tokens.is_empty() {
            return Ok(None);
        }
        let mut items = Vec::with_capacity(tokens.len());
        for (_, token) in &tokens {
            let inner = open(Purpose::Part, token)?;
            let path = site.path.clone();
            items.push(Item { purpose: Purpose::Part, path, token: token.clone(), inner });
        }
        // The same bytes go into the source and, as a check, into the value they stand for.
        let edit = |(span, n): (Span, usize)| Edit { span, text: &items[n].inner.bytes };
        let in_value = tokens.iter().map(|(span, _)| *span);
        let value_edits: Vec<_> = in_value.zip(0..).map(edit).collect();
        let (value, _) = splice(&value, &value_edits);
        let in_source = parts::tokens(source).map_err(Cause::Token)?;
        if in_source.len() != tokens.len() {
            return Err(Cause::Misplaced);
        }
        let source_edits: Vec<_> =
            in_source.iter().map(|(span, _)| *span).zip(0..).map(edit).collect();
        let (source, _) = splice(source, &source_edits);
        Ok(Some(Found { source: source.into(), value: Some(value.into()), items }))
    }

    fn unruled(&self, file: &RelPath, reopened: &Reopened<'_>) -> Vec<FieldPath> {
        let rules = self.policy.fields(file, &self.ledger);
        let mut unruled = Vec::new();
        for field in &reopened.fields {
            for item in &field.found.items {
                let value = value_of(&item.inner).unwrap_or_default();
                let verdict = rules.judge(&item.path, &value);
                if item.purpose == Purpose::Field && verdict.reason.is_unruled() {
                    unruled.push(item.path.clone());
                }
            }
        }
        unruled
    }

    /// Whether a token of one of our keys stands in a text that no codec reads.
    fn holds_known_token(&self, stored: &[u8]) -> bool {
        let mut from = 0;
        while let Some(at) = super::part_token_at(stored, from) {
            let end = parts::token_end(stored, at);
            match Token::parse(&stored[at..end]) {
                Ok(token) if self.sealer.keyring().get(token.key_id()).is_some() => return true,
                _ => from = end,
            }
        }
        false
    }
}

/// The opened values of one document, each with its site.
pub(super) struct Reopened<'a> {
    pub fields: Vec<Field<'a>>,
}

/// One scalar that held tokens.
pub(super) struct Field<'a> {
    /// Its number among the sites.
    pub at: usize,
    pub site: &'a Site,
    pub found: Found,
}

/// What a scalar's tokens hold.
pub(super) struct Found {
    /// One field token, or one or more part tokens.
    pub items: Vec<Item>,
    /// The source bytes that stand in its place in the view.
    pub source: SecretBytes,
    /// The decoded value of a scalar opened by parts, to be held against `source`.
    pub value: Option<SecretBytes>,
}

impl Reopened<'_> {
    /// The view, and where each opened scalar stands in it.
    pub(super) fn splice(&self, stored: &[u8]) -> (Vec<u8>, Vec<Span>) {
        let edits: Vec<_> = self
            .fields
            .iter()
            .map(|field| Edit { span: field.site.span, text: &field.found.source })
            .collect();
        splice(stored, &edits)
    }

    /// Whether `view` has the shape of the stored text, each opened scalar in its place.
    fn fits(&self, sites: &[Site], view: &[u8], places: &[Span], codec: &dyn Codec) -> bool {
        let Ok(seen) = codec.scan(view) else { return false };
        let edited: Vec<usize> = self.fields.iter().map(|field| field.at).collect();
        shape::is_same(sites, &seen, &edited, places)
            && self.fields.iter().all(|field| match &field.found.value {
                None => true,
                Some(value) => {
                    codec.decode(&field.found.source, field.site.context).as_ref() == Some(value)
                }
            })
    }

    /// Spells every value anew for its place: what it was sealed with does not fit here.
    fn respell(&mut self, codec: &dyn Codec) {
        for field in &mut self.fields {
            let value = match &field.found.value {
                Some(value) => Some(value.clone()),
                None => field.found.items.first().and_then(|item| value_of(&item.inner)),
            };
            let site = field.site;
            let spelled = value.and_then(|value| codec.encode(&value, site.context, site.column));
            if let Some(source) = spelled {
                field.found.source = source;
            }
        }
    }

    /// The tokens in order, for reuse.
    pub(super) fn items(self) -> Vec<Item> {
        self.fields.into_iter().flat_map(|field| field.found.items).collect()
    }
}

/// The source bytes that stand for a sealed value at `site`: verbatim where it came from such a
/// place, or where the place takes them for the same value; else spelled anew.
fn spell(inner: &Inner, site: &Site, codec: &dyn Codec) -> Option<SecretBytes> {
    let same_place = inner.codec == codec.id() as u8
        && inner.context == site.context.0
        && inner.column == site.column;
    if inner.kind == Kind::Source && same_place {
        return Some(inner.bytes.clone());
    }
    let value = value_of(inner)?;
    if inner.kind == Kind::Source
        && codec.decode(&inner.bytes, site.context).as_ref() == Some(&value)
    {
        return Some(inner.bytes.clone());
    }
    codec.encode(&value, site.context, site.column)
}

/// The decoded value of what was sealed, by the codec it was sealed from.
pub(super) fn value_of(inner: &Inner) -> Option<SecretBytes> {
    match inner.kind {
        Kind::Value => Some(inner.bytes.clone()),
        Kind::Source => {
            let context = crate::format::Context(inner.context);
            CodecId::from_number(inner.codec)?.codec().decode(&inner.bytes, context)
        }
        Kind::File => None,
    }
}

fn holds(text: &[u8], prefix: &str) -> bool {
    super::find(text, prefix.as_bytes()).is_some()
}

impl From<TokenError> for Cause {
    fn from(error: TokenError) -> Self {
        Cause::Token(error)
    }
}
