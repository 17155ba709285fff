# Where the SDK sets paths and tools.
INCLUDE_DIR:=$(TOPDIR)/include
