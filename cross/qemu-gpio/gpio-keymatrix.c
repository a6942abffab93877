// SPDX-License-Identifier: GPL-2.0-only
/*
 * A desk phone's front panel behind one GPIO chip, for an emulated machine: a 4 x 4 keypad without diodes, a hook switch
 * and seven lamps. A test writes which contacts are closed; the lines follow at once, as copper does.
 *
 *   lines  0..3   columns; driven low, or not driven (open drain)
 *   lines  4..7   rows; inputs with pull-ups
 *   line   8      hook switch; low while the handset is lifted
 *   lines  9..15  lamps; outputs
 *
 *   /sys/devices/platform/gpio-keymatrix/
 *     keys    hexadecimal, bit 4 * row + column is set while that key is down
 *     hook    1 while the handset is lifted
 *     lamps   hexadecimal, bit 0 is line 9
 *     levels  hexadecimal, all lines
 *     answer  microseconds from the last change of a contact to the first change of a lamp since; 0 while there was none
 */
#include <linux/gpio/driver.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irq_work.h>
#include <linux/irqdomain.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/pinctrl/pinconf-generic.h>
#include <linux/platform_device.h>
#include <linux/spinlock.h>
#include <linux/version.h>

#define COLUMNS		4
#define ROWS		4
#define FIRST_ROW	COLUMNS
#define HOOK		(COLUMNS + ROWS)
#define FIRST_LAMP	(HOOK + 1)
#define LINES		16
#define MATRIX_MASK	GENMASK(HOOK - 1, 0)
#define LAMP_MASK	GENMASK(LINES - 1, FIRST_LAMP)

struct panel {
	struct gpio_chip chip;
	struct irq_work tell;	/* delivers the edges, as an interrupt would */
	/* Guards everything below. */
	raw_spinlock_t lock;
	u32 driven;	/* lines that are outputs */
	u32 high;	/* what the outputs are set to */
	u32 keys;
	bool lifted;
	u32 levels;	/* of all lines */
	u32 rising;	/* lines whose rising edges somebody waits for */
	u32 falling;
	u32 unmasked;
	u32 pending;	/* edges that are not delivered yet */
	ktime_t touched;	/* when a contact was changed last */
	s64 answer;	/* microseconds from then to the first change of a lamp */
};

static const char *const names[LINES] = {
	"COL0", "COL1", "COL2", "COL3", "ROW0", "ROW1", "ROW2", "ROW3", "HOOK",
	"LAMP0", "LAMP1", "LAMP2", "LAMP3", "LAMP4", "LAMP5", "LAMP6",
};

/*
 * A closed key joins its row and its column, whichever drives the other: current takes every way there is. Three keys at
 * the corners of a rectangle therefore close the fourth, as they do in a matrix without diodes.
 */
static u32 matrix_levels(const struct panel *p)
{
	u32 low = p->driven & ~p->high & MATRIX_MASK;
	u32 before;
	int row, column;

	do {
		before = low;
		for (row = 0; row < ROWS; row++) {
			for (column = 0; column < COLUMNS; column++) {
				u32 both = BIT(FIRST_ROW + row) | BIT(column);

				if ((p->keys & BIT(COLUMNS * row + column)) && (low & both))
					low |= both;
			}
		}
	} while (low != before);
	return ~low & MATRIX_MASK;
}

static u32 all_levels(const struct panel *p)
{
	return matrix_levels(p) | (p->lifted ? 0 : BIT(HOOK)) | (p->high & p->driven & LAMP_MASK);
}

/* A contact is about to change: the next lamp that does is the phone's answer. */
static void touch(struct panel *p)
{
	lockdep_assert_held(&p->lock);
	p->touched = ktime_get();
	p->answer = 0;
}

/* Takes over what changed, and tells those who wait for an edge. */
static void settle(struct panel *p)
{
	u32 now, changed;

	lockdep_assert_held(&p->lock);
	now = all_levels(p);
	changed = now ^ p->levels;
	p->levels = now;
	if ((changed & LAMP_MASK) && !p->answer)
		p->answer = ktime_us_delta(ktime_get(), p->touched);
	p->pending |= changed & p->unmasked & ((now & p->rising) | (~now & p->falling));
	if (p->pending)
		irq_work_queue(&p->tell);
}

static void tell_edges(struct irq_work *work)
{
	struct panel *p = container_of(work, struct panel, tell);
	unsigned long flags, pending;
	int line;

	raw_spin_lock_irqsave(&p->lock, flags);
	pending = p->pending;
	p->pending = 0;
	raw_spin_unlock_irqrestore(&p->lock, flags);
	for_each_set_bit(line, &pending, LINES)
		generic_handle_domain_irq(p->chip.irq.domain, line);
}

static void change_bits(struct panel *p, u32 *bits, unsigned int line, bool on)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&p->lock, flags);
	*bits = on ? *bits | BIT(line) : *bits & ~BIT(line);
	raw_spin_unlock_irqrestore(&p->lock, flags);
}

static void panel_irq_mask(struct irq_data *data)
{
	struct gpio_chip *chip = irq_data_get_irq_chip_data(data);
	struct panel *p = gpiochip_get_data(chip);

	change_bits(p, &p->unmasked, irqd_to_hwirq(data), false);
	gpiochip_disable_irq(chip, irqd_to_hwirq(data));
}

static void panel_irq_unmask(struct irq_data *data)
{
	struct gpio_chip *chip = irq_data_get_irq_chip_data(data);
	struct panel *p = gpiochip_get_data(chip);

	gpiochip_enable_irq(chip, irqd_to_hwirq(data));
	change_bits(p, &p->unmasked, irqd_to_hwirq(data), true);
}

static int panel_irq_set_type(struct irq_data *data, unsigned int type)
{
	struct panel *p = gpiochip_get_data(irq_data_get_irq_chip_data(data));

	if (type & ~IRQ_TYPE_EDGE_BOTH)
		return -EINVAL;
	change_bits(p, &p->rising, irqd_to_hwirq(data), type & IRQ_TYPE_EDGE_RISING);
	change_bits(p, &p->falling, irqd_to_hwirq(data), type & IRQ_TYPE_EDGE_FALLING);
	return 0;
}

static const struct irq_chip panel_irq_chip = {
	.name = "gpio-keymatrix",
	.irq_mask = panel_irq_mask,
	.irq_unmask = panel_irq_unmask,
	.irq_set_type = panel_irq_set_type,
	.flags = IRQCHIP_IMMUTABLE,
	GPIOCHIP_IRQ_RESOURCE_HELPERS,
};

static int panel_get(struct gpio_chip *chip, unsigned int line)
{
	struct panel *p = gpiochip_get_data(chip);
	unsigned long flags;
	int level;

	raw_spin_lock_irqsave(&p->lock, flags);
	level = !!(p->levels & BIT(line));
	raw_spin_unlock_irqrestore(&p->lock, flags);
	return level;
}

static int panel_set(struct gpio_chip *chip, unsigned int line, int value)
{
	struct panel *p = gpiochip_get_data(chip);
	unsigned long flags;

	raw_spin_lock_irqsave(&p->lock, flags);
	p->high = value ? p->high | BIT(line) : p->high & ~BIT(line);
	settle(p);
	raw_spin_unlock_irqrestore(&p->lock, flags);
	return 0;
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 17, 0)
static void panel_set_void(struct gpio_chip *chip, unsigned int line, int value)
{
	panel_set(chip, line, value);
}
#define PANEL_SET panel_set_void
#else
#define PANEL_SET panel_set
#endif

static int panel_direction_input(struct gpio_chip *chip, unsigned int line)
{
	struct panel *p = gpiochip_get_data(chip);
	unsigned long flags;

	raw_spin_lock_irqsave(&p->lock, flags);
	p->driven &= ~BIT(line);
	settle(p);
	raw_spin_unlock_irqrestore(&p->lock, flags);
	return 0;
}

static int panel_direction_output(struct gpio_chip *chip, unsigned int line, int value)
{
	struct panel *p = gpiochip_get_data(chip);
	unsigned long flags;

	/* A switch is at the other end. */
	if (line == HOOK)
		return -EPERM;
	raw_spin_lock_irqsave(&p->lock, flags);
	p->driven |= BIT(line);
	p->high = value ? p->high | BIT(line) : p->high & ~BIT(line);
	settle(p);
	raw_spin_unlock_irqrestore(&p->lock, flags);
	return 0;
}

static int panel_get_direction(struct gpio_chip *chip, unsigned int line)
{
	struct panel *p = gpiochip_get_data(chip);

	return READ_ONCE(p->driven) & BIT(line) ? GPIO_LINE_DIRECTION_OUT : GPIO_LINE_DIRECTION_IN;
}

/* Everything has a pull-up. Open drain is left to the core, which makes an undriven line an input. */
static int panel_set_config(struct gpio_chip *chip, unsigned int line, unsigned long config)
{
	switch (pinconf_to_config_param(config)) {
	case PIN_CONFIG_BIAS_PULL_UP:
	case PIN_CONFIG_DRIVE_PUSH_PULL:
		return 0;
	default:
		return -ENOTSUPP;
	}
}

static ssize_t keys_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct panel *p = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%04x\n", READ_ONCE(p->keys));
}

static ssize_t keys_store(struct device *dev, struct device_attribute *attr, const char *buf, size_t count)
{
	struct panel *p = dev_get_drvdata(dev);
	unsigned long flags;
	u16 keys;
	int error = kstrtou16(buf, 16, &keys);

	if (error)
		return error;
	raw_spin_lock_irqsave(&p->lock, flags);
	touch(p);
	p->keys = keys;
	settle(p);
	raw_spin_unlock_irqrestore(&p->lock, flags);
	return count;
}
static DEVICE_ATTR_RW(keys);

static ssize_t hook_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct panel *p = dev_get_drvdata(dev);

	return sysfs_emit(buf, "%d\n", READ_ONCE(p->lifted));
}

static ssize_t hook_store(struct device *dev, struct device_attribute *attr, const char *buf, size_t count)
{
	struct panel *p = dev_get_drvdata(dev);
	unsigned long flags;
	bool lifted;
	int error = kstrtobool(buf, &lifted);

	if (error)
		return error;
	raw_spin_lock_irqsave(&p->lock, flags);
	touch(p);
	p->lifted = lifted;
	settle(p);
	raw_spin_unlock_irqrestore(&p->lock, flags);
	return count;
}
static DEVICE_ATTR_RW(hook);

static u32 levels_now(struct device *dev)
{
	struct panel *p = dev_get_drvdata(dev);
	unsigned long flags;
	u32 levels;

	raw_spin_lock_irqsave(&p->lock, flags);
	levels = p->levels;
	raw_spin_unlock_irqrestore(&p->lock, flags);
	return levels;
}

static ssize_t lamps_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%02x\n", (levels_now(dev) & (u32)LAMP_MASK) >> FIRST_LAMP);
}
static DEVICE_ATTR_RO(lamps);

static ssize_t levels_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%04x\n", levels_now(dev));
}
static DEVICE_ATTR_RO(levels);

static ssize_t answer_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct panel *p = dev_get_drvdata(dev);
	unsigned long flags;
	s64 answer;

	raw_spin_lock_irqsave(&p->lock, flags);
	answer = p->answer;
	raw_spin_unlock_irqrestore(&p->lock, flags);
	return sysfs_emit(buf, "%lld\n", answer);
}
static DEVICE_ATTR_RO(answer);

static struct attribute *panel_attrs[] = {
	&dev_attr_keys.attr, &dev_attr_hook.attr, &dev_attr_lamps.attr, &dev_attr_levels.attr,
	&dev_attr_answer.attr, NULL
};
ATTRIBUTE_GROUPS(panel);

static void stop_telling(void *data)
{
	struct panel *p = data;

	irq_work_sync(&p->tell);
}

static int panel_probe(struct platform_device *pdev)
{
	struct device *dev = &pdev->dev;
	struct panel *p = devm_kzalloc(dev, sizeof(*p), GFP_KERNEL);
	int error;

	if (!p)
		return -ENOMEM;
	raw_spin_lock_init(&p->lock);
	init_irq_work(&p->tell, tell_edges);
	error = devm_add_action_or_reset(dev, stop_telling, p);
	if (error)
		return error;
	p->levels = all_levels(p);
	p->chip = (struct gpio_chip) {
		.label = "phone-keymatrix",
		.parent = dev,
		.owner = THIS_MODULE,
		.base = -1,
		.ngpio = LINES,
		.names = names,
		.get = panel_get,
		.set = PANEL_SET,
		.direction_input = panel_direction_input,
		.direction_output = panel_direction_output,
		.get_direction = panel_get_direction,
		.set_config = panel_set_config,
	};
	gpio_irq_chip_set_chip(&p->chip.irq, &panel_irq_chip);
	p->chip.irq.handler = handle_simple_irq;
	p->chip.irq.default_type = IRQ_TYPE_NONE;
	platform_set_drvdata(pdev, p);
	return devm_gpiochip_add_data(dev, &p->chip, p);
}

static struct platform_driver panel_driver = {
	.probe = panel_probe,
	.driver = { .name = "gpio-keymatrix", .dev_groups = panel_groups },
};

static struct platform_device *panel_device;

static int __init panel_init(void)
{
	int error = platform_driver_register(&panel_driver);

	if (error)
		return error;
	panel_device = platform_device_register_simple("gpio-keymatrix", PLATFORM_DEVID_NONE, NULL, 0);
	if (IS_ERR(panel_device)) {
		platform_driver_unregister(&panel_driver);
		return PTR_ERR(panel_device);
	}
	return 0;
}

static void __exit panel_exit(void)
{
	platform_device_unregister(panel_device);
	platform_driver_unregister(&panel_driver);
}

module_init(panel_init);
module_exit(panel_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A desk phone's front panel for an emulated machine");
