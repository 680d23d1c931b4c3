// SPDX-License-Identifier: MIT
/*
 * Breaks the kernel on request: insmod crashme.ko what=NAME.
 *
 * Debian's kernels come without LKDTM; this does the same with a handful of
 * functions, each named after what it does, so that a test can tell which one
 * a title has to name.
 */
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>

static char *what = "null";
module_param(what, charp, 0);

static DEFINE_MUTEX(lock);

static noinline int deref(volatile int *pointer)
{
	return pointer[10];
}

static noinline void made_null(void)
{
	deref(NULL);
}

static noinline void made_paging(void)
{
	deref((int *)0xffffc90000dead00UL);
}

static noinline void made_gpf(void)
{
	deref((int *)0x6b6b6b6b6b6b6b6bUL);
}

static noinline void made_exec(void)
{
	((void (*)(void))0x10)();
}

static noinline void made_bug(void)
{
	BUG();
}

static noinline void made_warn(void)
{
	WARN(1, "made: a warning with words %d\n", 42);
}

static noinline void made_warn_once(void)
{
	WARN_ON_ONCE(1);
}

static noinline void made_panic(void)
{
	panic("made: a panic with words");
}

static noinline void made_soft(void)
{
	preempt_disable();
	for (;;)
		cpu_relax();
}

static noinline void made_rcu(void)
{
	rcu_read_lock();
	preempt_disable();
	for (;;)
		cpu_relax();
}

static noinline void made_atomic(void)
{
	preempt_disable();
	msleep(10);
	preempt_enable();
}

static noinline int made_recursion(int depth)
{
	volatile char pad[512];

	pad[0] = depth;
	return made_recursion(depth + pad[0] + 1) + pad[1];
}

static int hang(void *unused)
{
	mutex_lock(&lock);
	return 0;
}

static noinline void made_hang(void)
{
	mutex_lock(&lock);
	kthread_run(hang, NULL, "made-hang");
	msleep(25000);
}

static noinline void made_list(void)
{
	LIST_HEAD(head);
	struct list_head *entry = kmalloc(sizeof(*entry), GFP_KERNEL);

	list_add(entry, &head);
	list_del(entry);
	list_del(entry);
}

static noinline void made_bigalloc(void)
{
	int i;

	for (i = 0; i < 200; i++)
		kmalloc(4 << 20, GFP_KERNEL);
}

static int __init made_init(void)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} causes[] = {
		{ "null", made_null },		 { "paging", made_paging },
		{ "gpf", made_gpf },		 { "exec", made_exec },
		{ "bug", made_bug },		 { "warn", made_warn },
		{ "warn_once", made_warn_once }, { "panic", made_panic },
		{ "soft", made_soft },		 { "rcu", made_rcu },
		{ "atomic", made_atomic },	 { "hang", made_hang },
		{ "list", made_list },		 { "bigalloc", made_bigalloc },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(causes); i++)
		if (!strcmp(what, causes[i].name))
			causes[i].run();
	if (!strcmp(what, "recursion"))
		made_recursion(0);
	return 0;
}
module_init(made_init);
MODULE_LICENSE("GPL");
