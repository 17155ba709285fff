//! Reading and writing the resources of this host, one like the other.

use std::io;

use v6kit_net::{Code, Hint, Prefix};

use crate::limits;
use crate::netlink::{Link, Netlink, NetlinkError, PROTOCOL};
use crate::nft::{self, NftError};
use crate::resource::{Resource, route_text};
use crate::sysctl;
use crate::value::Value;

/// The host that is changed.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) netlink: Netlink,
}

/// Why a resource was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum ResourceError {
    /// A route.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// A device that is gone.
    #[error("there is no device `{device}`")]
    NoDevice {
        /// Its name.
        device: String,
    },
    /// A sysctl.
    #[error("{name} cannot be {action}")]
    Sysctl {
        /// Its name.
        name: String,
        /// "read" or "set".
        action: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The limits file.
    #[error("{} cannot be {action}", limits::FILE)]
    Limits {
        /// "read" or "written".
        action: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The firewall table.
    #[error("{0}")]
    Table(String, Option<String>),
}

impl From<NftError> for ResourceError {
    fn from(error: NftError) -> Self {
        let text = match std::error::Error::source(&error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        };
        Self::Table(text, error.hint())
    }
}

impl Hint for ResourceError {
    fn code(&self) -> Code {
        match self {
            Self::Netlink(error) => error.code(),
            Self::NoDevice { .. } => Code::NoDevice,
            Self::Sysctl { .. } => Code::Sysctl,
            Self::Limits { .. } => Code::LimitsFile,
            Self::Table(..) => Code::Nft,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Netlink(error) => error.hint(),
            Self::NoDevice { .. } => Some("`ip link` lists the devices".to_owned()),
            Self::Sysctl { source, .. } => Some(
                match source.kind() {
                    io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                        "in a container, set it from outside"
                    }
                    _ => "`dmesg | tail` may say more",
                }
                .to_owned(),
            ),
            Self::Limits { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => {
                Some("run setup as root for this step".to_owned())
            }
            Self::Limits { .. } => Some("check the disk and the permissions of /etc/security".to_owned()),
            Self::Table(_, hint) => hint.clone(),
        }
    }
}

impl ResourceError {
    /// Whether a capability or a permission is missing.
    pub(crate) fn is_denial(&self) -> bool {
        let source = match self {
            Self::Netlink(NetlinkError::Request { source, .. })
            | Self::Sysctl { source, .. }
            | Self::Limits { source, .. } => source,
            Self::Table(text, _) => return text.contains("Operation not permitted"),
            Self::Netlink(NetlinkError::Open(_)) | Self::NoDevice { .. } => return false,
        };
        matches!(
            source.kind(),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem
        )
    }
}

impl System {
    pub(crate) fn open() -> Result<Self, NetlinkError> {
        Ok(Self {
            netlink: Netlink::open()?,
        })
    }

    /// The value of a resource as it is now.
    pub(crate) async fn read(&self, resource: &Resource) -> Result<Value, ResourceError> {
        match resource {
            Resource::Route { prefix, device } => {
                let Some(link) = self.link(device).await? else {
                    return Ok(Value::ABSENT);
                };
                let routes = self
                    .netlink
                    .routes(|route| route.delivers(*prefix) && route.link == Some(link.index))
                    .await?;
                // Ours before one that somebody added with another metric.
                let ours = routes.iter().any(|route| route.protocol == PROTOCOL);
                Ok(match routes.first() {
                    None => Value::ABSENT,
                    Some(_) if ours => Value::text(route_text(*prefix, device)),
                    Some(other) => {
                        Value::text(format!("local {prefix} dev {device} proto {}", other.protocol))
                    }
                })
            }
            Resource::Sysctl { name } => sysctl::read(name).map_err(|source| ResourceError::Sysctl {
                name: name.clone(),
                action: "read",
                source,
            }),
            Resource::LimitsFile => limits::read().map_err(|source| ResourceError::Limits {
                action: "read",
                source,
            }),
            Resource::Table => Ok(nft::read()?),
        }
    }

    /// Makes a resource what `target` says.
    pub(crate) async fn write(&self, resource: &Resource, target: &Value) -> Result<(), ResourceError> {
        match resource {
            Resource::Route { prefix, device } => {
                let Some(link) = self.link(device).await? else {
                    return Err(ResourceError::NoDevice {
                        device: device.clone(),
                    });
                };
                if target.is_absent() {
                    self.netlink.delete_local_route(*prefix, link.index).await?;
                } else {
                    self.netlink.add_local_route(*prefix, link.index).await?;
                }
                Ok(())
            }
            Resource::Sysctl { name } => {
                sysctl::write(name, target.as_text().unwrap_or_default()).map_err(|source| {
                    ResourceError::Sysctl {
                        name: name.clone(),
                        action: "set",
                        source,
                    }
                })
            }
            Resource::LimitsFile => limits::write(target).map_err(|source| ResourceError::Limits {
                action: "written",
                source,
            }),
            Resource::Table => Ok(nft::write(target)?),
        }
    }

    /// Whether a route that carries our mark leads to `prefix`, whatever its table and device.
    pub(crate) async fn has_route_of_ours(&self, prefix: Prefix) -> Result<bool, NetlinkError> {
        let routes = self
            .netlink
            .routes(|route| route.protocol == PROTOCOL && route.destination == prefix.into())
            .await?;
        Ok(!routes.is_empty())
    }

    async fn link(&self, name: &str) -> Result<Option<Link>, NetlinkError> {
        let links = self.netlink.links().await?;
        Ok(links.into_iter().find(|link| link.name == name))
    }
}
