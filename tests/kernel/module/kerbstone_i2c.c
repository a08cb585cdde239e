// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * An I2C adapter whose transfers a program answers: the wire of the kernel tests.
 *
 * Copyright of the Kerbstone project. Kerbstone is under the Apache License 2.0. This one file may
 * be used under the GPL-2.0 instead, because it is linked with the kernel, which is under the
 * GPL-2.0 only: i2c-core exports its functions to such modules alone. It is built and loaded in
 * the guest of the tests, and is part of nothing that is shipped.
 *
 * All of i2c-core and i2c-dev is between a caller and this file: I2C_RDWR, SMBus emulated on it,
 * I2C_TIMEOUT, I2C_RETRIES, drivers of the kernel. /dev/kerbstone-i2c can be opened once. read()
 * gives the transfer that waits, write() answers it; numbers are in the order of the machine.
 *
 *   transfer: u32 id, u16 count of messages, u16 0;
 *             for each message u16 address, u16 flags, u16 length, u16 0, and what is written
 *   answer:   u32 id, s32 minus an errno, or 0 and what each reading message reads, one after
 *             the other
 *
 * Not answered for as long as the adapter's timeout says, a transfer ends with ETIMEDOUT: a bus
 * that a chip holds low. While nobody has the device open, nobody is on the bus: ENXIO.
 */
#include <linux/fs.h>
#include <linux/i2c.h>
#include <linux/jiffies.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/wait.h>

#define HEAD 8
#define LONGEST (HEAD + 42 * 8192) /* what i2c-dev lets through in one transfer */

enum state { NONE, WAITING, TAKEN, DONE };

static struct {
	struct i2c_msg *messages;
	int count;
	int result;
	u32 id;
	enum state state;
} transfer;

static DEFINE_MUTEX(lock); /* of transfer and present */
static DECLARE_WAIT_QUEUE_HEAD(to_take);
static DECLARE_WAIT_QUEUE_HEAD(to_finish);
static bool present;

static uint transfers;
module_param(transfers, uint, 0444);
MODULE_PARM_DESC(transfers, "how many transfers the kernel has asked for, retries included");
static uint timeout_ms;
module_param(timeout_ms, uint, 0444);
MODULE_PARM_DESC(timeout_ms, "how long the last transfer was allowed to take");

static int answered_xfer(struct i2c_adapter *adapter, struct i2c_msg *messages, int count)
{
	int result;

	mutex_lock(&lock);
	transfers++;
	timeout_ms = jiffies_to_msecs(adapter->timeout);
	if (!present) {
		mutex_unlock(&lock);
		return -ENXIO;
	}
	transfer.messages = messages;
	transfer.count = count;
	transfer.id++;
	transfer.state = WAITING;
	mutex_unlock(&lock);

	wake_up_interruptible(&to_take);
	wait_event_timeout(to_finish, READ_ONCE(transfer.state) == DONE, adapter->timeout);

	mutex_lock(&lock);
	result = transfer.state == DONE ? transfer.result : -ETIMEDOUT;
	transfer.state = NONE;
	transfer.messages = NULL; /* the caller's again: a late answer must not touch them */
	mutex_unlock(&lock);
	return result < 0 ? result : count;
}

static u32 answered_functions(struct i2c_adapter *adapter)
{
	return I2C_FUNC_I2C | I2C_FUNC_SMBUS_EMUL;
}

static const struct i2c_algorithm algorithm = {
	.master_xfer = answered_xfer,
	.functionality = answered_functions,
};

static struct i2c_adapter adapter = {
	.owner = THIS_MODULE,
	.algo = &algorithm,
	.name = "kerbstone test bus",
};

static size_t told(char *to)
{
	size_t size = HEAD;
	int i;

	if (to) {
		*(u32 *)to = transfer.id;
		*(u16 *)(to + 4) = transfer.count;
	}
	for (i = 0; i < transfer.count; i++) {
		struct i2c_msg *message = &transfer.messages[i];

		if (to) {
			*(u16 *)(to + size) = message->addr;
			*(u16 *)(to + size + 2) = message->flags;
			*(u16 *)(to + size + 4) = message->len;
		}
		size += 8;
		if (message->flags & I2C_M_RD)
			continue;
		if (to)
			memcpy(to + size, message->buf, message->len);
		size += message->len;
	}
	return size;
}

static ssize_t take(struct file *file, char __user *user, size_t length, loff_t *offset)
{
	ssize_t result;
	char *told_to;

	for (;;) {
		mutex_lock(&lock);
		if (transfer.state == WAITING)
			break;
		mutex_unlock(&lock);
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		if (wait_event_interruptible(to_take, READ_ONCE(transfer.state) == WAITING))
			return -ERESTARTSYS;
	}
	result = told(NULL);
	if (result > length) {
		result = -EMSGSIZE;
		goto out;
	}
	told_to = kvzalloc(result, GFP_KERNEL);
	if (!told_to) {
		result = -ENOMEM;
		goto out;
	}
	told(told_to);
	if (copy_to_user(user, told_to, result))
		result = -EFAULT;
	else
		transfer.state = TAKEN;
	kvfree(told_to);
out:
	mutex_unlock(&lock);
	return result;
}

static int put_answer(const char *answer, size_t length)
{
	size_t at = HEAD;
	int i;

	if (transfer.state != TAKEN || *(u32 *)answer != transfer.id)
		return -ESTALE; /* it came too late */
	transfer.result = *(s32 *)(answer + 4);
	for (i = 0; transfer.result >= 0 && i < transfer.count; i++) {
		struct i2c_msg *message = &transfer.messages[i];

		if (!(message->flags & I2C_M_RD))
			continue;
		if (at + message->len > length)
			return -EINVAL;
		memcpy(message->buf, answer + at, message->len);
		at += message->len;
	}
	WRITE_ONCE(transfer.state, DONE);
	wake_up(&to_finish);
	return 0;
}

static ssize_t give(struct file *file, const char __user *user, size_t length, loff_t *offset)
{
	char *answer;
	int error;

	if (length < HEAD || length > LONGEST)
		return -EINVAL;
	answer = vmemdup_user(user, length);
	if (IS_ERR(answer))
		return PTR_ERR(answer);
	mutex_lock(&lock);
	error = put_answer(answer, length);
	mutex_unlock(&lock);
	kvfree(answer);
	return error ? error : length;
}

static __poll_t ready(struct file *file, poll_table *wait)
{
	poll_wait(file, &to_take, wait);
	return EPOLLOUT | EPOLLWRNORM |
	       (READ_ONCE(transfer.state) == WAITING ? EPOLLIN | EPOLLRDNORM : 0);
}

static int appear(struct inode *inode, struct file *file)
{
	int error = 0;

	mutex_lock(&lock);
	if (present)
		error = -EBUSY;
	else
		present = true;
	mutex_unlock(&lock);
	return error;
}

static int disappear(struct inode *inode, struct file *file)
{
	mutex_lock(&lock);
	present = false;
	if (transfer.state == WAITING || transfer.state == TAKEN) {
		transfer.result = -ENXIO;
		WRITE_ONCE(transfer.state, DONE);
		wake_up(&to_finish);
	}
	mutex_unlock(&lock);
	return 0;
}

static const struct file_operations operations = {
	.owner = THIS_MODULE,
	.open = appear,
	.release = disappear,
	.read = take,
	.write = give,
	.poll = ready,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "kerbstone-i2c",
	.fops = &operations,
};

static int __init start(void)
{
	int error = misc_register(&device);

	if (error)
		return error;
	error = i2c_add_adapter(&adapter);
	if (error)
		misc_deregister(&device);
	return error;
}

static void __exit stop(void)
{
	i2c_del_adapter(&adapter);
	misc_deregister(&device);
}

module_init(start);
module_exit(stop);
MODULE_LICENSE("GPL"); /* what the loader knows; see the first line */
MODULE_DESCRIPTION("I2C adapter that is answered by a program, for the tests of Kerbstone");
