//! From the stored text to the view.

use std::sync::Arc;

use super::error::{Cause, OpenError};
use super::import::{FileImports, Imported};
use super::judge::judge;
use super::outgoing::Secrets;
use super::reopened::{Field, Found, Reopened, spell, value_of};
use super::stock::{Item, Stock, WholeText, digest};
use super::{Form, Sealing, is_whole, parts, whole};
use crate::format::{Codec, CodecId, FieldPath, Format, ParseError, Scanned, Site};
use crate::path::RelPath;
use crate::policy::Class;
use crate::secret::SecretBytes;
use crate::span::{Edit, Span, splice};
use crate::token::foreign::recognize;
use crate::token::{
    FIELD_PREFIX, FILE_PREFIX, Inner, Kind, PREFIX, Place, Purpose, Token, TokenError,
};

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
        let class = self.policy.classify(file).class;
        if let (Class::Whole, Some(error)) = (&class, buried_whole(stored)) {
            return Err(OpenError::whole(Cause::Unreadable(error)));
        }
        match class {
            Class::Fields(format) => self.open_fields(file, stored, &format),
            Class::Whole | Class::Unknown | Class::Plain => match self.holds_known_token(stored) {
                true => Err(OpenError::whole(Cause::NoFormat)),
                false => Ok(Opened::plain(stored)),
            },
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
            imported: None,
            spelled: None,
        })
    }

    fn open_fields(
        &self,
        file: &RelPath,
        stored: &[u8],
        format: &Format,
    ) -> Result<Opened, OpenError> {
        let Some(Scanned { id, sites }) = self.scan_for_tokens(file, stored, format)? else {
            return Ok(Opened::plain(stored));
        };
        let reopened = self.reopen(file, stored, id, &sites)?;
        if reopened.fields.is_empty() {
            return Ok(Opened::plain(stored));
        }
        let (reopened, view) = reopened.into_view(stored, id, format, &sites, None)?;
        let unruled = self.unruled(file, stored, id, &reopened);
        let stock = Stock { file: file.clone(), items: reopened.items(id), whole: None };
        Ok(Opened { view, form: Form::Fields(id), stock, unruled })
    }

    /// What `stored` is made of, if a token may stand in it.
    pub(super) fn scan_for_tokens(
        &self,
        file: &RelPath,
        stored: &[u8],
        format: &Format,
    ) -> Result<Option<Scanned>, OpenError> {
        let imports = self.imports.in_file(file);
        if !may_hold_token(stored) && !imports.may_stand_in(stored) {
            return Ok(None);
        }
        match format.scan(stored) {
            Ok(scanned) => Ok(Some(scanned)),
            Err(error) if holds(stored, FIELD_PREFIX) => {
                Err(OpenError::whole(Cause::Unreadable(error)))
            }
            Err(error) if !format.is_by_content() && buried_whole(stored).is_some() => {
                Err(OpenError::whole(Cause::Unreadable(error)))
            }
            // Of a text that is told by its content nothing is known: it may have been saved so.
            Err(error) if !format.is_by_content() && imports.stand_in(stored) => {
                Err(OpenError::whole(Cause::Unreadable(error)))
            }
            // Someone's own text about tokens is not ours to refuse.
            Err(_) => Ok(None),
        }
    }

    /// Opens each token of `stored`, whose scan gave `sites`.
    pub(super) fn reopen<'a>(
        &self,
        file: &RelPath,
        stored: &[u8],
        id: CodecId,
        sites: &'a [Site],
    ) -> Result<Reopened<'a>, OpenError> {
        let imports = self.imports.in_file(file);
        let mut fields = Vec::new();
        let mut error: Option<OpenError> = None;
        for (at, site) in sites.iter().enumerate() {
            let source = site.span.of(stored);
            if !may_hold_token(source) && !imports.may_stand_in(source) {
                continue;
            }
            match self.reopen_site(file, source, site, id.codec(), &imports) {
                Ok(None) => {}
                Ok(Some(found)) => fields.push(Field { at, site, found }),
                Err(cause) => match &mut error {
                    Some(error) => error.failing += 1,
                    None => error = Some(OpenError::at(site, stored, cause)),
                },
            }
        }
        match error {
            Some(error) => Err(error),
            None => Ok(Reopened { fields }),
        }
    }

    /// What the token, or the part tokens, in one scalar hold; `None` for a scalar without any.
    pub(super) fn reopen_site(
        &self,
        file: &RelPath,
        source: &[u8],
        site: &Site,
        codec: &dyn Codec,
        imports: &FileImports<'_>,
    ) -> Result<Option<Found>, Cause> {
        let Some(value) = codec.decode(source, site.context) else { return Ok(None) };
        let aad = site.path.to_aad();
        let open = |purpose, token: &Token| {
            let place = Place { purpose, file: file.as_bytes(), path: &aad };
            let opened = self.sealer.open(&place, token, self.binding).map_err(Cause::Token)?;
            Ok::<_, Cause>(Arc::new(opened.into_inner()))
        };
        let found = |token, inner: Arc<Inner>, imported| {
            let source = spell(&inner, site, codec).ok_or(Cause::Misplaced)?;
            let (purpose, path) = (Purpose::Field, site.path.clone());
            let item = Item { purpose, path, token, inner, imported, spelled: None };
            Ok(Some(Found { items: vec![item], source, value: None }))
        };
        if let Some(imported) = imports.open(&site.path, &value) {
            let Imported { scheme, value } = imported?;
            let inner = Inner { kind: Kind::Value, codec: 0, context: 0, column: 0, bytes: value };
            let place = Place { purpose: Purpose::Field, file: file.as_bytes(), path: &aad };
            let token = self.seal_fitting(&place, &inner, site, codec).ok_or(Cause::Misplaced)?;
            return found(token, Arc::new(inner), Some(scheme));
        }
        if value.starts_with(PREFIX.as_bytes()) {
            let token = Token::parse(&value).map_err(|error| match recognize(&value) {
                Some(scheme) => Cause::Unimported(scheme),
                None => Cause::Token(error),
            })?;
            let inner = open(Purpose::Field, &token)?;
            return found(token, inner, None);
        }
        let tokens = parts::tokens(&value).map_err(Cause::Token)?;
        if tokens.is_empty() {
            return Ok(None);
        }
        let mut items = Vec::with_capacity(tokens.len());
        for (_, token) in &tokens {
            let inner = open(Purpose::Part, token)?;
            let path = site.path.clone();
            let token = token.clone();
            let purpose = Purpose::Part;
            items.push(Item { purpose, path, token, inner, imported: None, spelled: None });
        }
        // The same bytes go into the source and, as a check, into the value they stand for.
        let edit = |(span, n): (Span, usize)| Edit { span, text: &items[n].inner.bytes };
        let in_value = tokens.iter().map(|(span, _)| *span);
        let value_edits: Vec<_> = in_value.zip(0..).map(edit).collect();
        let value = SecretBytes::from(splice(&value, &value_edits).0);
        let in_source = parts::tokens(source).map_err(Cause::Token)?;
        if in_source.len() != tokens.len() {
            return Err(Cause::Misplaced);
        }
        let source_edits: Vec<_> =
            in_source.iter().map(|(span, _)| *span).zip(0..).map(edit).collect();
        let source = SecretBytes::from(splice(source, &source_edits).0);
        Ok(Some(Found { source, value: Some(value), items }))
    }

    /// The fields that nothing makes secret: no rule, no name, no value, and not that they hold
    /// another's secret.
    fn unruled(
        &self,
        file: &RelPath,
        stored: &[u8],
        id: CodecId,
        reopened: &Reopened<'_>,
    ) -> Vec<FieldPath> {
        let rules = self.policy.fields(file, &self.ledger);
        let items = reopened.fields.iter();
        let items = items.flat_map(|field| field.found.items.iter().map(|item| (field.site, item)));
        let valued =
            items.map(|(site, item)| (site, item, value_of(&item.inner).unwrap_or_default()));
        let (mut unruled, ruled): (Vec<_>, Vec<_>) = valued.partition(|(site, item, value)| {
            item.purpose != Purpose::Part
                && judge(&rules, id, stored, site, value).reason.is_unruled()
        });
        if unruled.is_empty() {
            return Vec::new();
        }
        let mut secrets = Secrets::default();
        ruled.iter().for_each(|(_, item, value)| secrets.add(value, &item.inner.bytes));
        // One look is enough: what holds a copy of a copy holds the secret too.
        if let Ok(Some(search)) = secrets.search() {
            unruled.retain(|(_, _, value)| !search.is_in(value));
        }
        let mut paths: Vec<_> = unruled.into_iter().map(|(_, item, _)| item.path.clone()).collect();
        paths.dedup();
        paths
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

/// Where a whole-file form begins behind other text, as between the markers of a conflict: never was
/// such a text written by us where every text is sealed whole.
fn buried_whole(stored: &[u8]) -> Option<ParseError> {
    let line = [b"\n", FILE_PREFIX.as_bytes()].concat();
    let at = super::find(stored, &line)? + 1;
    Some(ParseError::at(stored, at, "a sealed file begins here, behind other text"))
}

/// Whether a scalar in `text` may begin with or contain a token, perhaps spelled with escapes.
pub(super) fn may_hold_token(text: &[u8]) -> bool {
    super::PREFIX_FINDER.find(text).is_some() || memchr::memchr(b'\\', text).is_some()
}

pub(super) fn holds(text: &[u8], prefix: &str) -> bool {
    super::find(text, prefix.as_bytes()).is_some()
}

impl From<TokenError> for Cause {
    fn from(error: TokenError) -> Self {
        Cause::Token(error)
    }
}
