//! Caches the encoded fields of headers that repeat, with the generation of the encoder for which they are valid.

use bytes::Bytes;

use crate::grpc::content_type::ContentSubtypes;
use crate::grpc::encoding::Encoding;
use crate::types::Request;

/// The longest block that is cached, in bytes.
const MAX_BLOCK: usize = 128;

/// How many distinct requests are cached.
const REQUEST_TEMPLATES: usize = 8;

/// The encoded fields of headers that repeat.
#[derive(Default)]
pub(super) struct WriterCache {
    requests: Vec<RequestTemplate>,
    next: usize,
    pub(super) response: Template,
    pub(super) status_ok: Template,
}

/// The encoded fields of a request, without its timeout and metadata.
pub(super) struct RequestTemplate {
    path: Bytes,
    authority: Option<Bytes>,
    encoding: Option<Encoding>,
    content_subtypes: ContentSubtypes,
    pub(super) list_size: usize,
    pub(super) fields: Template,
}

impl RequestTemplate {
    #[inline]
    fn is_for(&self, request: &Request) -> bool {
        same(&self.path, &request.path)
            && self.encoding == request.encoding
            && self.content_subtypes.same(request.content_subtypes)
            && match (&self.authority, &request.authority) {
                (None, None) => true,
                (Some(one), Some(other)) => same(one, other),
                _ => false,
            }
    }
}

/// Returns whether both are equal. Paths are mostly constants, so comparing the pointers first settles most cases.
#[inline]
fn same(one: &Bytes, other: &Bytes) -> bool {
    one.len() == other.len() && (one.as_ptr() == other.as_ptr() || one == other)
}

impl WriterCache {
    #[inline]
    pub(super) fn find(&self, request: &Request) -> Option<&RequestTemplate> {
        self.requests.iter().find(|template| template.is_for(request))
    }

    /// Caches the fields of `request`, unless writing them changed the dynamic table: then the bytes have this
    /// meaning only once.
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
            return template.fields.put(before, generation, fields);
        }
        let mut template = RequestTemplate {
            path: request.path.clone(),
            authority: request.authority.clone(),
            encoding: request.encoding,
            content_subtypes: request.content_subtypes,
            list_size,
            fields: Template::default(),
        };
        template.fields.put(before, generation, fields);
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

/// An encoded block of fields, and the encoder's generation for which it is valid.
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

    /// Caches `block`, unless it is too long, or writing it changed the dynamic table.
    pub(super) fn put(&mut self, before: u64, generation: u64, block: &[u8]) {
        if before == generation && block.len() <= MAX_BLOCK {
            self.generation = Some(generation);
            self.block.clear();
            self.block.extend_from_slice(block);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::CallType;

    fn request(path: &'static str) -> Request {
        Request::new(path, CallType::UNARY)
    }

    fn fields<'a>(templates: &'a WriterCache, request: &Request) -> Option<&'a [u8]> {
        templates.find(request)?.fields.get(7)
    }

    #[test]
    fn a_template_holds_for_its_generation() {
        let mut template = Template::default();
        assert_eq!(template.get(0), None);
        template.put(0, 0, b"ab");
        assert_eq!(template.get(0), Some(b"ab".as_slice()));
        assert_eq!(template.get(1), None);
        template.put(1, 1, &[0; MAX_BLOCK + 1]);
        assert_eq!(template.get(1), None, "a block that is too long replaces nothing");
        template.put(0, 1, b"cd");
        assert_eq!(template.get(1), None, "nor does one that changed the table");
        template.put(1, 1, &[0; MAX_BLOCK]);
        assert_eq!(template.get(1), Some([0; MAX_BLOCK].as_slice()));
    }

    #[test]
    fn requests_that_differ_in_any_of_their_own_fields_have_templates_of_their_own() {
        let variants = [
            request("/a/b"),
            request("/a/c"),
            request("/a/bc"),
            Request { authority: Some("one".into()), ..request("/a/b") },
            Request { authority: Some("two".into()), ..request("/a/b") },
            Request { encoding: Some(Encoding::Gzip), ..request("/a/b") },
        ];
        let mut templates = WriterCache::default();
        for (n, variant) in variants.iter().enumerate() {
            assert!(templates.find(variant).is_none(), "{variant:?}");
            templates.put(variant, n, 7, 7, &[n as u8]);
        }
        for (n, variant) in variants.iter().enumerate() {
            // The bytes of a path count, not their address.
            let copy = Request { path: Bytes::copy_from_slice(&variant.path), ..variant.clone() };
            assert_eq!(fields(&templates, &copy), Some([n as u8].as_slice()), "{variant:?}");
            assert_eq!(templates.find(&copy).map(|template| template.list_size), Some(n));
        }
        templates.clear();
        assert!(templates.find(&variants[0]).is_none());
    }

    #[test]
    fn fields_that_change_the_table_are_not_kept() {
        let mut templates = WriterCache::default();
        templates.put(&request("/a/b"), 0, 6, 7, b"first");
        assert!(templates.find(&request("/a/b")).is_none());
        templates.put(&request("/a/b"), 0, 7, 7, b"second");
        assert_eq!(fields(&templates, &request("/a/b")), Some(b"second".as_slice()));
        templates.put(&request("/a/b"), 0, 8, 8, b"third");
        assert_eq!(fields(&templates, &request("/a/b")), None, "another generation's now");
        assert_eq!(templates.requests.len(), 1);
    }

    #[test]
    fn the_oldest_template_makes_room() {
        let paths = [
            "/0", "/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8", "/9", "/10", "/11", "/12", "/13", "/14",
            "/15", "/16",
        ];
        let mut templates = WriterCache::default();
        for (n, path) in paths.into_iter().enumerate() {
            templates.put(&request(path), 0, 7, 7, path.as_bytes());
            for (other, path) in paths.into_iter().enumerate() {
                let kept = other <= n && n < other + REQUEST_TEMPLATES;
                assert_eq!(fields(&templates, &request(path)).is_some(), kept, "{path} after {n}");
            }
        }
    }
}
