// SPDX-License-Identifier: MIT
/*
 * The records: JSON Lines, built in a fixed buffer and queued whole for the port. The agent never blocks on the port.
 * A record that does not fit the queue is dropped and counted, and the next record that fits carries the count.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "agent.h"

static char record[RECORD_BYTES];
static size_t length;
static bool overflow, comma;

static char queue[PORT_BYTES];
static size_t head, used;
static int port = -1;
static bool port_blocks;
static unsigned long number, dropped, dropped_said;

/* virtio_console allocates a buffer for each write: one of at most a page can be had when memory is short. */
enum { PIECE = 4096 };

void port_set(int fd, bool blocking)
{
	port = fd;
	port_blocks = blocking;
}

int port_fd(void)
{
	return port;
}

bool port_waits(void)
{
	return used > 0;
}

/*
 * A program that runs as root can unbind the port's driver and bind it again, to open the port and write records of its
 * own. The agent's descriptor is then dead for good (ENODEV of wait_port_writable(), drivers/char/virtio_console.c): the
 * guest ends before anybody else writes.
 */
static void end_without_port(void)
{
	if (getpid() != 1)
		return;
	port = -1;
	errno = ENODEV;
	die("port rig.events");
}

/* The port hung up: it is gone, or the host has closed it for now, as between a snapshot and its restore. */
void port_hung_up(void)
{
	if (getpid() == 1 && write(port, "\n", 1) < 0 && errno == ENODEV)
		end_without_port();
}

unsigned long rec_number(void)
{
	return number;
}

size_t port_room(void)
{
	return sizeof(queue) - used;
}

void port_flush(void)
{
	while (used && port >= 0) {
		size_t piece = sizeof(queue) - head;
		ssize_t put;

		if (piece > used)
			piece = used;
		if (piece > PIECE)
			piece = PIECE;
		put = write(port, queue + head, piece);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0 && errno == ENODEV)
			end_without_port();
		if (put <= 0)
			return;
		head = (head + (size_t)put) % sizeof(queue);
		used -= (size_t)put;
	}
}

/* Drain the queue before the power-off: wait up to `ns` for the host to read it. */
void port_drain(int64_t ns)
{
	int64_t until = now_ns() + ns;

	for (port_flush(); used && port >= 0 && now_ns() < until; port_flush()) {
		struct pollfd wait = { .fd = port, .events = POLLOUT };

		poll(&wait, 1, 10);
	}
}

static void put(const char *text, size_t count)
{
	if (length + count > sizeof(record) - 1) {
		overflow = true;
		return;
	}
	memcpy(record + length, text, count);
	length += count;
}

static void put_char(char c)
{
	if (length < sizeof(record) - 1)
		record[length++] = c;
	else
		overflow = true;
}

static void put_number(uint64_t value, int digits, unsigned int base)
{
	char text[24];
	size_t at = sizeof(text);

	do {
		text[--at] = "0123456789abcdef"[value % base];
		value /= base;
		digits--;
	} while (value || digits > 0);
	put(text + at, sizeof(text) - at);
}

/* Return the length of the well-formed UTF-8 sequence at `s`, 0 if there is none (RFC 3629, table in section 4). */
static size_t utf8_length(const unsigned char *s, size_t left)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t more;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	more = s[0] < 0xe0 ? 1 : s[0] < 0xf0 ? 2 : 3;
	if (s[0] == 0xe0)
		low = 0xa0;
	if (s[0] == 0xed)
		high = 0x9f;
	if (s[0] == 0xf0)
		low = 0x90;
	if (s[0] == 0xf4)
		high = 0x8f;
	if (left <= more || s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i <= more; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	return more + 1;
}

static void put_text(const char *text, size_t count)
{
	const unsigned char *s = (const unsigned char *)text;

	put_char('"');
	while (count > 0) {
		size_t one = utf8_length(s, count);

		if (one == 0) {
			put("\\ufffd", 6);
			one = 1;
		} else if (*s == '"' || *s == '\\') {
			put_char('\\');
			put_char((char)*s);
		} else if (*s == '\n') {
			put("\\n", 2);
		} else if (*s == '\t') {
			put("\\t", 2);
		} else if (*s < 0x20 || *s == 0x7f) {
			put("\\u00", 4);
			put_number(*s, 2, 16);
		} else {
			put((const char *)s, one);
		}
		s += one;
		count -= one;
	}
	put_char('"');
}

static void put_key(const char *key)
{
	if (comma)
		put_char(',');
	comma = true;
	if (key) {
		put_char('"');
		put(key, strlen(key));
		put("\":", 2);
	}
}

void rec_str(const char *key, const char *text)
{
	rec_text(key, text, strlen(text));
}

void rec_text(const char *key, const char *text, size_t count)
{
	put_key(key);
	put_text(text, count);
}

bool is_utf8(const char *text, size_t count)
{
	while (count > 0) {
		size_t one = utf8_length((const unsigned char *)text, count);

		if (one == 0)
			return false;
		text += one;
		count -= one;
	}
	return true;
}

void rec_base64(const char *key, const char *bytes, size_t count)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *s = (const unsigned char *)bytes;

	put_key(key);
	put_char('"');
	for (size_t i = 0; i < count; i += 3) {
		uint32_t group = (uint32_t)s[i] << 16;

		if (i + 1 < count)
			group |= (uint32_t)s[i + 1] << 8;
		if (i + 2 < count)
			group |= s[i + 2];
		put_char(digits[group >> 18]);
		put_char(digits[group >> 12 & 63]);
		put_char(i + 1 < count ? digits[group >> 6 & 63] : '=');
		put_char(i + 2 < count ? digits[group & 63] : '=');
	}
	put_char('"');
}

void rec_int(const char *key, int64_t value)
{
	put_key(key);
	if (value < 0)
		put_char('-');
	put_number(value < 0 ? -(uint64_t)value : (uint64_t)value, 1, 10);
}

void rec_hex(const char *key, uint64_t value)
{
	put_key(key);
	put_char('"');
	put_number(value, 1, 16);
	put_char('"');
}

void rec_time(const char *key, int64_t ns)
{
	put_key(key);
	put_number((uint64_t)(ns / NSEC), 1, 10);
	put_char('.');
	put_number((uint64_t)(ns % NSEC / 1000), 6, 10);
}

void rec_bool(const char *key, bool value)
{
	put_key(key);
	put(value ? "true" : "false", value ? 4 : 5);
}

/* Copy digits that the kernel printed: parsing and printing them again would cost instructions under TCG. */
void rec_raw(const char *key, const char *text, size_t count)
{
	put_key(key);
	put(text, count);
}

void rec_null(const char *key)
{
	put_key(key);
	put("null", 4);
}

void rec_open(const char *key, char bracket)
{
	put_key(key);
	put_char(bracket);
	comma = false;
}

void rec_close(char bracket)
{
	put_char(bracket);
	comma = true;
}

size_t rec_room(void)
{
	return sizeof(record) - length;
}

void rec_begin(const char *ev)
{
	length = 0;
	overflow = false;
	comma = false;
	put_char('{');
	rec_int("n", (int64_t)number);
	rec_time("t", now_ns());
	rec_str("ev", ev);
	if (dropped != dropped_said || strcmp(ev, "end") == 0)
		rec_int("dropped", (int64_t)dropped);
}

void rec_end(void)
{
	size_t tail, first;

	put_char('}');
	put_char('\n');
	number++;
	port_flush();
	if (overflow || length > sizeof(queue) - used) {
		dropped++;
		return;
	}
	dropped_said = dropped;
	tail = (head + used) % sizeof(queue);
	first = sizeof(queue) - tail;
	if (first > length)
		first = length;
	memcpy(queue + tail, record, first);
	memcpy(queue, record + first, length - first);
	used += length;
	port_flush();
	if (port_blocks)
		port_drain(60 * NSEC);
}
