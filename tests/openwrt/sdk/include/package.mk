# The part of the SDK that decides what is in a package: the install section and the scripts, expanded as
# there, staged under $(DEST).
INSTALL_DIR:=install -d -m0755
INSTALL_BIN:=install -m0755
INSTALL_DATA:=install -m0644
INSTALL_CONF:=install -m0600
CP:=cp -fR

define BuildPackage
stage:
	install -d $$(DEST)/data
	$$(call Package/$(1)/install,$$(DEST)/data)
	$$(file >$$(DEST)/conffiles,$$(Package/$(1)/conffiles))
	$$(file >$$(DEST)/version,$$(PKG_VERSION))
	$$(file >$$(DEST)/postinst,$$(Package/$(1)/postinst))
	$$(file >$$(DEST)/prerm,$$(Package/$(1)/prerm))
	$$(file >$$(DEST)/postrm,$$(Package/$(1)/postrm))
	$$(eval $$(call Package/$(1)))printf '%s %s\n' '$$(PKGARCH)' '$$(DEPENDS)' >$$(DEST)/control
endef
