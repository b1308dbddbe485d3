//! The names that a backup may hold, and where each lies in a data folder.

use std::path::{Path, PathBuf};

use uuid::Uuid;

/// What a backup may hold between its manifest and its index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Database,
    Truth { collection: String },
    Blob { organisation: Uuid, document: Uuid },
}

impl Item {
    /// Reads a name. Nothing but exactly what [`Item::name`] writes is one, so no name leads out
    /// of the folder.
    pub(super) fn of(name: &str) -> Option<Self> {
        let parts: Vec<&str> = name.split('/').collect();
        let item = match parts[..] {
            ["server.db"] => Self::Database,
            ["collections", collection, "truth.sqlite"]
                if faq_core::is_collection_name(collection) =>
            {
                Self::Truth {
                    collection: collection.to_owned(),
                }
            }
            ["blobs", organisation, document] => Self::Blob {
                organisation: organisation.parse().ok()?,
                document: document.parse().ok()?,
            },
            _ => return None,
        };
        // A UUID can be written in several ways, and a file has one name.
        (item.name() == name).then_some(item)
    }

    /// The name in the archive.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Database => "server.db".to_owned(),
            Self::Truth { collection } => format!("collections/{collection}/truth.sqlite"),
            Self::Blob {
                organisation,
                document,
            } => format!("blobs/{organisation}/{document}"),
        }
    }

    /// The place in the data folder; that of blobs is where a server without STORAGE_PATH has it.
    pub(super) fn path(&self, data: &Path) -> PathBuf {
        match self {
            Self::Database => data.join("server.db"),
            Self::Truth { collection } => data
                .join("collections")
                .join(collection)
                .join("truth.sqlite"),
            Self::Blob { .. } => data.join("blobs").join(self.name()),
        }
    }
}

/// The organisation whose collection goes by this name.
pub(super) fn organisation_of(collection: &str) -> Option<Uuid> {
    let id = collection
        .strip_prefix("tenant_")?
        .strip_suffix("_knowledge")?;
    id.parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for item in [
            Item::Database,
            Item::Truth {
                collection: "tenant_x.y-z_knowledge".to_owned(),
            },
            Item::Blob {
                organisation: Uuid::from_u128(1),
                document: Uuid::from_u128(2),
            },
        ] {
            assert_eq!(Item::of(&item.name()), Some(item.clone()));
            assert!(item.path(Path::new("d")).starts_with("d"));
        }
    }

    #[test]
    fn no_other_name_is_taken() {
        let id = Uuid::from_u128(7);
        for name in [
            String::new(),
            "/server.db".to_owned(),
            "./server.db".to_owned(),
            "../server.db".to_owned(),
            "collections/../truth.sqlite".to_owned(),
            "collections/a/../../../etc/truth.sqlite".to_owned(),
            "collections/.a/truth.sqlite".to_owned(),
            "collections/a\\b/truth.sqlite".to_owned(),
            "collections//truth.sqlite".to_owned(),
            "collections/a/keyword".to_owned(),
            "collections/a/truth.sqlite/".to_owned(),
            format!("blobs/{id}/.."),
            format!("blobs/{id}/{}", id.simple()),
            format!("blobs/{id}/{}", id.to_string().to_uppercase() + "A"),
            format!("blobs/{{{id}}}/{id}"),
        ] {
            assert_eq!(Item::of(&name), None, "{name:?}");
        }
    }

    #[test]
    fn a_tenants_collection_names_its_organisation() {
        let id = Uuid::from_u128(9);
        assert_eq!(organisation_of(&format!("tenant_{id}_knowledge")), Some(id));
        assert_eq!(organisation_of("default"), None);
    }
}
