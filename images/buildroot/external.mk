include $(sort $(wildcard $(BR2_EXTERNAL_RIG_PATH)/package/*/*.mk))

# Our kernel fragments are written for tinyconfig, where everything is off that they do not name. Buildroot knows
# architecture defaults and files ending in _defconfig only; this name is a make target of the kernel's all the same.
ifeq ($(BR2_PACKAGE_RIG_GUEST)$(BR2_LINUX_KERNEL_USE_ARCH_DEFAULT_CONFIG),yy)
LINUX_KCONFIG_DEFCONFIG = tinyconfig
endif
