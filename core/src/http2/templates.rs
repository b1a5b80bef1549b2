//! Heads that repeat: their encoded fields, kept beside the generation of the encoder for which they hold.

use bytes::Bytes;

use crate::grpc::encoding::Encoding;
use crate::types::Request;

/// Longer blocks are not kept.
const MAX_BLOCK: usize = 128;

/// Distinct requests whose fields are kept.
const REQUEST_TEMPLATES: usize = 8;

/// The encoded fields of heads that repeat.
#[derive(Default)]
pub(super) struct Templates {
    requests: Vec<RequestTemplate>,
    next: usize,
    pub(super) response: Template,
    pub(super) status_ok: Template,
}

/// A request's own fields, everything but its timeout and metadata.
pub(super) struct RequestTemplate {
    path: Bytes,
    authority: Option<Bytes>,
    encoding: Option<Encoding>,
    pub(super) list_size: usize,
    pub(super) fields: Template,
}

impl RequestTemplate {
    #[inline]
    fn is_for(&self, request: &Request) -> bool {
        same(&self.path, &request.path)
            && self.encoding == request.encoding
            && match (&self.authority, &request.authority) {
                (None, None) => true,
                (Some(one), Some(other)) => same(one, other),
                _ => false,
            }
    }
}

/// Equality, seen at once where both are views of the same octets: paths are mostly constants.
#[inline]
fn same(one: &Bytes, other: &Bytes) -> bool {
    one.len() == other.len() && (one.as_ptr() == other.as_ptr() || one == other)
}

impl Templates {
    #[inline]
    pub(super) fn find(&self, request: &Request) -> Option<&RequestTemplate> {
        self.requests.iter().find(|template| template.is_for(request))
    }

    /// Keeps the fields of `request`, unless writing them changed the table: then they mean it only once.
    pub(super) fn put(
        &mut self,
        request: &Request,
        list_size: usize,
        before: u64,
        generation: u64,
        fields: &[u8],
    ) {
        if before != generation {
            return;
        }
        if let Some(template) = self.requests.iter_mut().find(|template| template.is_for(request)) {
            return template.fields.put(generation, fields);
        }
        let mut template = RequestTemplate {
            path: request.path.clone(),
            authority: request.authority.clone(),
            encoding: request.encoding,
            list_size,
            fields: Template::default(),
        };
        template.fields.put(generation, fields);
        if self.requests.len() < REQUEST_TEMPLATES {
            self.requests.push(template);
        } else if let Some(oldest) = self.requests.get_mut(self.next) {
            *oldest = template;
            self.next = (self.next + 1) % REQUEST_TEMPLATES;
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// An encoded block of fields, and the encoder's generation for which it holds.
#[derive(Default)]
pub(super) struct Template {
    generation: Option<u64>,
    block: Vec<u8>,
}

impl Template {
    #[inline]
    pub(super) fn get(&self, generation: u64) -> Option<&[u8]> {
        (self.generation == Some(generation)).then_some(self.block.as_slice())
    }

    /// Keeps `block`, unless it changes the peer's table when it is sent.
    pub(super) fn put(&mut self, generation: u64, block: &[u8]) {
        if block.len() <= MAX_BLOCK {
            self.generation = Some(generation);
            self.block.clear();
            self.block.extend_from_slice(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Template;

    #[test]
    fn a_template_holds_for_its_generation() {
        let mut template = Template::default();
        assert_eq!(template.get(0), None);
        template.put(0, b"ab");
        assert_eq!(template.get(0), Some(b"ab".as_slice()));
        assert_eq!(template.get(1), None);
        template.put(1, &[0; 200]);
        assert_eq!(template.get(1), None, "a block that is too long replaces nothing");
    }
}
