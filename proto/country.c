/* proto/country.c */
#include "proto/country.h"

/* ISO 3166-1 alpha-2, as assigned in 2026. */
static const char assigned[] = "ADAEAFAGAIALAMAOAQARASATAUAWAXAZ"
                               "BABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZ"
                               "CACCCDCFCGCHCICKCLCMCNCOCRCUCVCWCXCYCZ"
                               "DEDJDKDMDODZ"
                               "ECEEEGEHERESET"
                               "FIFJFKFMFOFR"
                               "GAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGUGWGY"
                               "HKHMHNHRHTHU"
                               "IDIEILIMINIOIQIRISIT"
                               "JEJMJOJP"
                               "KEKGKHKIKMKNKPKRKWKYKZ"
                               "LALBLCLILKLRLSLTLULVLY"
                               "MAMCMDMEMFMGMHMKMLMMMNMOMPMQMRMSMTMUMVMWMXMYMZ"
                               "NANCNENFNGNINLNONPNRNUNZ"
                               "OM"
                               "PAPEPFPGPHPKPLPMPNPRPSPTPWPY"
                               "QA"
                               "RERORSRURW"
                               "SASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZ"
                               "TCTDTFTGTHTJTKTLTMTNTOTRTTTVTWTZ"
                               "UAUGUMUSUYUZ"
                               "VAVCVEVGVIVNVU"
                               "WFWS"
                               "YEYT"
                               "ZAZMZW";

static const char eu[] = "ATBEBGCYCZDEDKEEESFIFRGRHRHUIEITLTLULVMTNLPLPTROSESISK";

static int letter(char c)
{
    if (c >= 'a' && c <= 'z')
        return c - 'a';
    return c >= 'A' && c <= 'Z' ? c - 'A' : -1;
}

static bool is_listed(const char *list, size_t n, int number)
{
    for (size_t at = 0; at + 2 <= n; at += 2) {
        if (letter(list[at]) * 26 + letter(list[at + 1]) == number)
            return true;
    }
    return false;
}

int msg_country_parse(struct sb_slice code)
{
    int number;

    if (code.n != 2 || letter(code.p[0]) < 0 || letter(code.p[1]) < 0)
        return -1;
    number = letter(code.p[0]) * 26 + letter(code.p[1]);
    return is_listed(assigned, sizeof(assigned) - 1, number) ? number : -1;
}

void msg_country_format(int number, char ret_code[MSG_COUNTRY_CODE])
{
    ret_code[0] = (char)('A' + number / 26);
    ret_code[1] = (char)('A' + number % 26);
    ret_code[2] = '\0';
}

bool msg_country_is_eu(int number)
{
    return is_listed(eu, sizeof(eu) - 1, number);
}
