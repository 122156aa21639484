/* The one rule for ids. By a table: every frame that is read has two or three of them. */
#include "id.h"

static const bool allowed[256] = {
    ['a' ... 'z'] = true, ['A' ... 'Z'] = true, ['0' ... '9'] = true,
    ['.'] = true,	  ['_'] = true,		['-'] = true,
};

bool id_valid(const char *s, size_t len)
{
	if (len < 1 || len > ID_MAX || s[0] == '.')
		return false;
	for (size_t i = 0; i < len; i++)
		if (!allowed[(unsigned char)s[i]])
			return false;
	return true;
}
