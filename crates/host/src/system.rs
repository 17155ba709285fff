//! Reading and writing the resources of this host, one like the other.

use std::io;

use ipnet::Ipv6Net;
use netlink_packet_route::route::RouteType;
use v6kit_net::{Code, Hint, Prefix};

use crate::delivery::{METRIC, RouteTable};
use crate::limits;
use crate::netlink::{Link, Netlink, NetlinkError, OurRoute, PROTOCOL, Route};
use crate::nft::{self, NftError};
use crate::owner::Owner;
use crate::resource::{Resource, Want, route_text};
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
            Resource::Route {
                prefix,
                device,
                table,
            } => self.read_route(*prefix, device, *table).await,
            Resource::Neighbour { .. } => {
                let Some(wanted) = self.our_route(resource).await? else {
                    return Ok(Value::ABSENT);
                };
                let found = self.netlink.routes(|route| wanted.is(route)).await?;
                Ok(if found.is_empty() {
                    Value::ABSENT
                } else {
                    resource.target(&Value::ABSENT, &[&Want::Present])
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
            Resource::Rotation { prefix } => Ok(nft::read_rotation(&nft::rotation_table(*prefix))?),
        }
    }

    /// Makes a resource what `target` says, with the mark of `owner` where it can carry one.
    pub(crate) async fn write(
        &self,
        resource: &Resource,
        target: &Value,
        owner: &Owner,
    ) -> Result<(), ResourceError> {
        match resource {
            Resource::Route { device, .. } | Resource::Neighbour { device, .. } => {
                let Some(route) = self.our_route(resource).await? else {
                    return Err(ResourceError::NoDevice {
                        device: device.clone(),
                    });
                };
                if target.is_absent() {
                    self.netlink.delete_route(&route).await?;
                } else {
                    self.netlink.add_route(&route).await?;
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
            Resource::LimitsFile => limits::write(target, owner).map_err(|source| ResourceError::Limits {
                action: "written",
                source,
            }),
            Resource::Table => {
                let own = nft::OwnAddresses::of_host(&self.netlink).await?;
                Ok(nft::write(target, &own, owner)?)
            }
            Resource::Rotation { prefix } => Ok(nft::write_rotation(&nft::rotation_table(*prefix), target)?),
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

    /// Whether some route carries our mark.
    pub(crate) async fn has_routes_of_ours(&self) -> Result<bool, NetlinkError> {
        let routes = self.netlink.routes(|route| route.protocol == PROTOCOL).await?;
        Ok(!routes.is_empty())
    }

    async fn read_route(
        &self,
        prefix: Prefix,
        device: &str,
        table: RouteTable,
    ) -> Result<Value, ResourceError> {
        let Some(link) = self.link(device).await? else {
            return Ok(Value::ABSENT);
        };
        let routes = self
            .netlink
            .routes(|route| {
                route.delivers(prefix) && route.link == Some(link.index) && route.table == table.id()
            })
            .await?;
        // Ours before one that somebody added with another metric.
        let is_ours = |route: &Route| {
            route.protocol == PROTOCOL && (table == RouteTable::Local || route.metric == METRIC)
        };
        Ok(match routes.first() {
            None => Value::ABSENT,
            Some(_) if routes.iter().any(is_ours) => Value::text(route_text(prefix, device, table)),
            Some(other) => Value::text(format!("local {prefix} dev {device} proto {}", other.protocol)),
        })
    }

    /// The route that a resource stands for; `None` where its device is gone.
    async fn our_route(&self, resource: &Resource) -> Result<Option<OurRoute>, NetlinkError> {
        let (device, destination, kind, table, metric, via) = match resource {
            Resource::Route {
                prefix,
                device,
                table,
            } => {
                let metric = (*table == RouteTable::Main).then_some(METRIC);
                (
                    device,
                    Ipv6Net::from(*prefix),
                    RouteType::Local,
                    table,
                    metric,
                    None,
                )
            }
            Resource::Neighbour {
                address,
                device,
                via,
                table,
            } => (
                device,
                Ipv6Net::from(*address),
                RouteType::Unicast,
                table,
                None,
                *via,
            ),
            Resource::Sysctl { .. } | Resource::LimitsFile | Resource::Table | Resource::Rotation { .. } => {
                return Ok(None);
            }
        };
        let link = self.link(device).await?;
        Ok(link.map(|link| OurRoute {
            destination,
            kind,
            table: table.id(),
            metric,
            link: link.index,
            via,
        }))
    }

    async fn link(&self, name: &str) -> Result<Option<Link>, NetlinkError> {
        let links = self.netlink.links().await?;
        Ok(links.into_iter().find(|link| link.name == name))
    }
}
