//! Where a value stands, as far as that decides how it may be spelled.
//!
//! A block scalar may say how far its content is indented (`|2`): further than the collection it
//! stands in. So the place's indentation belongs to what the value means, and to its context: a
//! sealed value that is moved to another indentation is read by the one it came from.

use crate::format::Context;

/// The context of a value in a collection that is indented by `indent` columns; the document
/// itself counts as one that is not indented. `None` when it is indented further than a context
/// tells.
pub(super) fn context(indent: usize) -> Option<Context> {
    if indent == 0 {
        return Some(Context::ORDINARY);
    }
    u8::try_from(indent).ok()?.checked_add(FRONT).map(Context)
}

/// The indentation that [`context`] was made from; 0 for any other.
pub(super) fn indent(context: Context) -> usize {
    usize::from(context.0.saturating_sub(FRONT))
}

/// The last number that is another context's.
const FRONT: u8 = Context::BLOCK_COMMENT.0;
