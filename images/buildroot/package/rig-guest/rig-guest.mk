################################################################################
#
# rig-guest
#
################################################################################

RIG_GUEST_VERSION = 1
RIG_GUEST_SITE = $(BR2_EXTERNAL_RIG_PATH)/../../guest
RIG_GUEST_SITE_METHOD = local
RIG_GUEST_LICENSE = MIT
RIG_GUEST_INSTALL_IMAGES = YES

RIG_GUEST_CFLAGS = $(TARGET_CFLAGS)
# What the sources take from glibc and musl has not.
ifeq ($(BR2_TOOLCHAIN_USES_MUSL),y)
RIG_GUEST_CFLAGS += -include $(@D)/musl.h
endif

define RIG_GUEST_BUILD_CMDS
	$(TARGET_MAKE_ENV) $(MAKE) $(TARGET_CONFIGURE_OPTS) \
		CFLAGS="$(RIG_GUEST_CFLAGS)" -C $(@D) O=$(@D)/out
endef

define RIG_GUEST_INSTALL_TARGET_CMDS
	$(INSTALL) -D -m 0755 $(@D)/out/rig-agent $(TARGET_DIR)/usr/sbin/rig-agent
endef

define RIG_GUEST_INSTALL_IMAGES_CMDS
	rm -rf $(BINARIES_DIR)/rig-guest
	mkdir -p $(BINARIES_DIR)/rig-guest/programs
	$(INSTALL) -m 0755 $(@D)/out/rig-agent $(BINARIES_DIR)/rig-guest/rig-agent
	find $(@D)/out/programs -type f ! -name '*.*' \
		-exec $(INSTALL) -m 0755 -t $(BINARIES_DIR)/rig-guest/programs {} +
endef

$(eval $(generic-package))
